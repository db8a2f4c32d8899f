"""Listening sockets: modes, owners, stale files, sockets of systemd's."""

import grp
import os
import socket
import stat
import subprocess
import sys

import pytest

from wherry.bootstrap.daemon_options import Serving
from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.hosts import InheritedHost, TcpHost, UnixHost
from wherry.bootstrap.listeners import listening


def test_a_unix_socket_is_for_owner_and_group_and_goes_with_the_daemon(tmp_path):
    path = tmp_path / "s.sock"
    with listening(Serving(hosts=(UnixHost(str(path)),), group="nosuchgroup")) as (listener,):
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert (status.st_uid, status.st_gid) == (0, 0)
        assert not listener.is_tcp
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_the_group_is_the_one_that_was_said(tmp_path):
    group = grp.getgrgid(1)
    for name in (group.gr_name, "1"):
        path = tmp_path / "s.sock"
        with listening(Serving(hosts=(UnixHost(str(path)),), group=name, group_was_said=True)):
            assert path.stat().st_gid == 1
    with (
        pytest.raises(FlagError, match="group nosuchgroup not found"),
        listening(Serving(hosts=(UnixHost(str(tmp_path / "s.sock")),), group="nosuchgroup", group_was_said=True)),
    ):
        pass


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(tmp_path):
    path = tmp_path / "s.sock"
    serving = Serving(hosts=(UnixHost(str(path)),))
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with listening(serving):
        with pytest.raises(FlagError, match="another process is listening"), listening(serving):
            pass
        assert path.exists()
    path.write_text("precious")
    with pytest.raises(FlagError, match="is not a socket"), listening(serving):
        pass
    assert path.read_text() == "precious"


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(FlagError, match=f"listen tcp 127.0.0.1:{port}: bind: Address already in use"),
            listening(Serving(hosts=(TcpHost("127.0.0.1", port),))),
        ):
            pass


def test_without_systemd_there_is_nothing_to_inherit(monkeypatch):
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with (
        pytest.raises(FlagError, match="no sockets found via socket activation"),
        listening(Serving(hosts=(InheritedHost(""),))),
    ):
        pass


# systemd passes descriptors from 3 on.
INHERITING = """
import os, sys
from wherry.bootstrap.daemon_options import Serving
from wherry.bootstrap.hosts import InheritedHost
from wherry.bootstrap.listeners import listening
os.environ["LISTEN_PID"] = str(os.getpid())
os.dup2(int(sys.argv[2]), 3)
with listening(Serving(hosts=(InheritedHost(sys.argv[1]),))) as listeners:
    print([each.socket.getsockname() for each in listeners], os.get_inheritable(listeners[0].socket.fileno()))
"""


@pytest.mark.parametrize("which", ["", "*", "3", "api"])
def test_sockets_of_systemd_are_taken_over(tmp_path, which):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        made.listen()
        told = subprocess.run(
            [sys.executable, "-c", INHERITING, which, str(made.fileno())],
            pass_fds=[made.fileno()],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"},
        )
    assert told.stdout == f"[{path!r}] False\n"
    assert os.path.exists(path)
