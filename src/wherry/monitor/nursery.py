"""The nursery: a small, warm process that forks a monitor for each container.

It is started with the daemon and ends with it. Everything that a monitor needs is imported here once, so a start
pays neither an interpreter's start nor an import. It is single-threaded, holds no secret, and is a subreaper: when a
monitor is killed, its container becomes the nursery's child, so that its end is still known.
"""

import codecs
import contextlib
import gc
import os
import signal
import socket
import sys

from wherry.libcontainer import cgroups
from wherry.linux import prctl, signals
from wherry.monitor import forked, identity, jsonlog, memory, root, title, wire
from wherry.monitor.container import exit_code
from wherry.monitor.loop import READ, Loop
from wherry.monitor.messages import Forked, FromNursery, Reaped, Refused, Start, TakeOver, read_to_nursery, write

CONNECTION = 3
"""The descriptor of its daemon's connection."""
_ORPHANS_MAX = 4096
_QUIET = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Nursery:
    """Serves one daemon."""

    def __init__(self, connection: socket.socket) -> None:
        """Watch the daemon and the children."""
        self._connection = connection
        self._receiver = wire.Receiver()
        self._loop = Loop()
        self._signals = signals.open_signalfd((signal.SIGCHLD,))
        self._orphans: dict[int, int] = {}
        self._listeners: dict[int, int] = {}
        self._loop.watch(connection.fileno(), READ, self._receive)
        self._loop.watch(self._signals, READ, self._reap)

    def run(self) -> None:
        """Until the daemon is gone."""
        self._loop.run()

    def _receive(self, _: int) -> None:
        try:
            received = self._receiver.receive(self._connection)
        except BlockingIOError:
            return
        except wire.ConnectionLost:
            self._loop.stop()
            return
        if received is None:
            return
        request, fds = read_to_nursery(received[0]), received[1]
        try:
            self._fork(request, fds)
        except OSError as error:  # no process, no pipe
            self._send(Refused(serial=request.serial, message=f"cannot fork a monitor: {error}", exit_code=128))
        finally:
            wire.close_all(fds)

    def _fork(self, request: Start | TakeOver, fds: list[int]) -> None:
        status_fd = self._listen_for(request.pid) if isinstance(request, TakeOver) else -1
        pid = os.fork()
        if not pid:
            os._exit(forked.guarded(lambda: self._become(request, fds, status_fd)))
        if status_fd >= 0:
            os.close(status_fd)
        self._send(Forked(serial=request.serial, pid=pid))

    def _become(self, request: Start | TakeOver, fds: list[int], status_fd: int) -> None:
        """In the child: drop what is the nursery's."""
        self._loop.close()
        self._connection.close()
        os.close(self._signals)
        wire.close_all([*self._listeners.values()])
        forked.run(request, fds, status_fd)

    def _listen_for(self, pid: int) -> int:
        """A pipe on which a monitor hears how its container, which is not its child, has ended.

        It ends without a word when the container is not ours either.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_inheritable(reading, False)
        parent = identity.parent(pid)
        if parent == os.getpid():
            self._orphans.pop(pid, None)
            self._listeners[pid] = writing
            return reading
        # Its number may have been given to another process since, but then we have not reaped it.
        if parent is None and pid in self._orphans:
            os.write(writing, b"%d" % self._orphans.pop(pid))
        os.close(writing)
        return reading

    def _reap(self, _: int) -> None:
        signals.read_signalfd(self._signals)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tell_reaped(pid, exit_code(status))

    def _tell_reaped(self, pid: int, code: int) -> None:
        listener = self._listeners.pop(pid, None)
        if listener is None:
            self._orphans[pid] = code
            if len(self._orphans) > _ORPHANS_MAX:
                del self._orphans[next(iter(self._orphans))]
        else:
            with contextlib.suppress(BrokenPipeError):
                os.write(listener, b"%d" % code)
            os.close(listener)
        self._send(Reaped(pid=pid, code=code))

    def _send(self, message: FromNursery) -> None:
        try:
            wire.send(self._connection, write(message))
        except OSError:
            self._loop.stop()


def main() -> None:
    """Started as `python -I -S -c …`: first `outside`, then again, from its own root, `inside`."""
    stage, paths = sys.argv[1], tuple(path for path in sys.argv[2].split(":") if path)
    if stage == "outside":
        executable = os.path.realpath("/proc/self/exe")
        root.enter(root.views(_packages(paths)))
        os.execv(executable, [*sys.orig_argv[:5], "inside", *sys.orig_argv[6:]])  # noqa: S606 - itself
    title.set_title("wherry-nursery", "wherry-nursery")
    prctl.set_child_subreaper(on=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, *_QUIET))
    os.set_inheritable(CONNECTION, False)
    nursery = Nursery(socket.socket(fileno=CONNECTION))
    _warm_up()
    gc.collect()
    gc.freeze()
    nursery.run()


def _warm_up() -> None:
    """Do once what each monitor would do for itself otherwise: late imports, looking at what never changes."""
    memory.keep_for_reuse()
    codecs.lookup("ascii")
    identity.boot_id()
    jsonlog.encode(b"warm\n", stream="stdout", first_ns=1)
    with contextlib.suppress(cgroups.CgroupError):
        cgroups.version()


def command(executable: str, paths: tuple[str, ...]) -> list[str]:
    """The arguments that start a nursery, with the modules found on `paths`."""
    code = "import sys; sys.path += sys.argv[2].split(':'); from wherry.monitor.nursery import main; main()"
    return [executable, "-I", "-S", "-c", code, "outside", ":".join(paths), title.ROOM]


def _packages(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{path}/{name}" for path in paths for name in ("wherry", "msgspec") if os.path.isdir(f"{path}/{name}")
    )
