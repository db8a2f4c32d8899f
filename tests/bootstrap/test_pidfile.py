"""The pidfile: whose process it names, and whether that is one."""

import os
import subprocess

import pytest

from wherry.bootstrap.flags import FlagError
from wherry.bootstrap.pidfile import holding


def test_a_pidfile_is_there_while_the_daemon_is(tmp_path):
    path = tmp_path / "deep" / "pid"
    with holding(path):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()


def test_the_pidfile_of_a_living_daemon_is_respected_and_a_stale_one_is_not(tmp_path):
    path = tmp_path / "pid"
    with subprocess.Popen(["sleep", "1000"]) as other:
        path.write_text(str(other.pid))
        with pytest.raises(FlagError, match=rf"process with PID {other.pid} is still running"), holding(path):
            pass
        other.kill()
    with holding(path):
        assert path.read_text() == str(os.getpid())
    path.write_text("no number")
    with holding(path):
        pass


def test_a_daemon_that_runs_is_not_started_beside(tmp_path):
    (tmp_path / "pid").write_text(str(os.getppid()))
    with pytest.raises(FlagError, match="is still running"), holding(tmp_path / "pid"):
        pass


def test_a_killed_one_that_nobody_reaped_yet_is_none(tmp_path):
    killed = subprocess.Popen(["sleep", "1000"])
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / "pid").write_text(str(killed.pid))
    with holding(tmp_path / "pid"):
        assert (tmp_path / "pid").read_text() == str(os.getpid())
    killed.wait()
