"""The sockets that the daemon listens on: made, or inherited from systemd; gone again when it ends."""

import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

from wherry.bootstrap.daemon_options import Serving
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.hosts import PORT, TLS_PORT, Host, InheritedHost, TcpHost, UnixHost

BACKLOG = 4096
FIRST_INHERITED_FD = 3
# Read and write for owner and group (0660): the umask that takes the rest away at birth.
UNIX_UMASK = 0o117
# As Go's and so dockerd's: two minutes and a half of silence is an end (net.KeepAliveConfig).
KEEPALIVE_SECONDS = 15
KEEPALIVE_PROBES = 9

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket; `is_tcp` says that TLS belongs in front of it, if there is any."""

    socket: socket.socket
    is_tcp: bool


@contextmanager
def listening(serving: Serving) -> Iterator[list[Listener]]:
    """All sockets, listening: clients that come early wait. Raises FlagError.

    Leaving removes the files of the unix sockets that were made here.
    """
    listeners: list[Listener] = []
    paths: list[tuple[str, int]] = []
    try:
        for host in serving.hosts:
            listeners += _open(host, serving, paths)
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()
        for path, inode in paths:
            _remove_own(path, inode)


def _open(host: Host, serving: Serving, paths: list[tuple[str, int]]) -> list[Listener]:
    match host:
        case UnixHost(path=path):
            made = _unix(path, _group_id(serving))
            paths.append((path, os.stat(path).st_ino))
            return [Listener(made, is_tcp=False)]
        case TcpHost(address=address, port=port):
            chosen = port if port is not None else (PORT if serving.tls is None else TLS_PORT)
            return [Listener(_tcp(address, chosen), is_tcp=True)]
        case InheritedHost(which=which):
            inherited = _inherited(which, os.environ)
            return [Listener(each, is_tcp=each.family != socket.AF_UNIX) for each in inherited]


def _unix(path: str, group_id: int) -> socket.socket:
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX)
    before = os.umask(UNIX_UMASK)
    try:
        made.bind(path)
        os.chown(path, 0, group_id)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise FlagError(
            f"failed to load listeners: can't create unix socket {path}: {error.strerror or error}"
        ) from None
    finally:
        os.umask(before)
    return made


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on. Raises FlagError when somebody does, or when it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FlagError(f"failed to load listeners: {path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                os.unlink(path)
                return
    raise FlagError(f"failed to load listeners: another process is listening on {path}")


def _remove_own(path: str, inode: int) -> None:
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        return


def _group_id(serving: Serving) -> int:
    """The group of unix sockets; root's where the default one does not exist. Raises FlagError."""
    name = serving.group
    if not name:
        return 0
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isdecimal():
            return int(name)
    if serving.group_was_said:
        raise FlagError(f"failed to load listeners: group {name} not found")
    log.debug("No group %s: the socket belongs to root alone", name)
    return 0


def _tcp(address: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FlagError(f"failed to load listeners: listen tcp {address}:{port}: {error.strerror or error}") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_vanished(made)
        made.bind(name)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise FlagError(
            f"failed to load listeners: listen tcp {address}:{port}: bind: {error.strerror or error}"
        ) from None
    return made


def _notice_the_vanished(listener: socket.socket) -> None:
    """Have the kernel ask silent peers whether they are still there: what it accepts inherits this (tcp(7)).

    Without it, whoever follows logs or events and loses its network would be served for hours. No TCP_USER_TIMEOUT:
    that would end clients that are only stopped, for whom dockerd and we wait.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def _inherited(which: str, environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets of sd_listen_fds(3), taken out of the environment once. Raises FlagError."""
    count = int(environment.get("LISTEN_FDS", "0")) if environment.get("LISTEN_PID") == str(os.getpid()) else 0
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if not count:
        raise FlagError(
            "failed to load listeners: no sockets found via socket activation: "
            "make sure the service was started by systemd"
        )
    every = range(FIRST_INHERITED_FD, FIRST_INHERITED_FD + count)
    chosen = [
        fd for index, fd in enumerate(every) if which in {"", "*", str(fd)} or (names[index : index + 1] == [which])
    ]
    if not chosen:
        raise FlagError(f"failed to load listeners: failed to find systemd activated sockets for fd: {which}")
    sockets = [socket.socket(fileno=fd) for fd in chosen]
    for each in sockets:
        each.set_inheritable(False)
        if each.family in (socket.AF_INET, socket.AF_INET6):
            _notice_the_vanished(each)
    return sockets
