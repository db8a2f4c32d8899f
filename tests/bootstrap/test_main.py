"""`wherryd` as a program: what it answers, how it starts and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from wherry import __version__


def wherryd(*arguments, **options):
    command = [sys.executable, "-m", "wherry.bootstrap", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


AS_NOBODY = "import os, sys; from wherry.bootstrap.main import run; os.setuid(65534); sys.exit(run(sys.argv[1:]))"


def as_nobody(*arguments):
    """The interpreter itself may lie where nobody else may look, so it changes its user when it runs."""
    command = [sys.executable, "-c", AS_NOBODY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version_and_help_need_no_root():
    told = as_nobody("--version")
    assert (told.returncode, told.stdout) == (0, f"Wherry version {__version__}\n")
    assert "Usage:  wherryd [OPTIONS]" in wherryd("--help").stdout


def test_a_wrong_flag_points_at_help():
    told = wherryd("--nosuch")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "Status: unknown flag: --nosuch\nSee 'wherryd --help'.\n\n"


def test_a_configuration_can_be_checked_without_starting(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"debug": true}')
    bad.write_text('{"nosuch": true}')
    assert wherryd("--validate", "--config-file", str(good)).stdout == "configuration OK\n"
    told = wherryd("--validate", "--config-file", str(bad))
    assert told.returncode == 1
    assert "don't match any configuration option: nosuch" in told.stderr


def test_somebody_who_is_not_root_gets_one_clear_sentence():
    told = as_nobody()
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "wherryd needs to be started with root privileges, for example by sudo.\n"


@pytest.fixture
def daemon(tmp_path):
    """A daemon in a network namespace of its own, ready when the context begins."""

    @contextmanager
    def daemon(*arguments):
        reading, writing = os.pipe()
        command = [
            "unshare", "-n", sys.executable, "-m", "wherry.bootstrap",
            "--data-root", str(tmp_path / "data"), "--exec-root", str(tmp_path / "exec"),
            "--pidfile", str(tmp_path / "pid"), "-H", f"unix://{tmp_path}/s.sock",
            "--ready-fd", str(writing), *arguments,
        ]  # fmt: skip
        with (
            (tmp_path / "log").open("w") as log,
            subprocess.Popen(command, pass_fds=[writing], stderr=log) as process,
            os.fdopen(reading, "rb") as ready,
        ):
            os.close(writing)
            assert ready.read() == b"ready\n", (tmp_path / "log").read_text()
            try:
                yield process
            finally:
                process.kill() if process.poll() is None else None

    return daemon


def curl(tmp_path, target, *more):
    command = ["curl", "-s", "--max-time", "10", "--unix-socket", str(tmp_path / "s.sock"), *more, f"http://x{target}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_daemon_serves_reloads_and_ends(daemon, tmp_path):
    config = tmp_path / "daemon.json"
    config.write_text('{"labels": ["a=b"]}')
    with daemon("--config-file", str(config)) as process:
        assert curl(tmp_path, "/_ping") == "OK"
        assert json.loads(curl(tmp_path, "/info"))["Labels"] == ["a=b"]
        assert (tmp_path / "pid").read_text() == str(process.pid)
        config.write_text('{"labels": ["c=d"], "debug": true}')
        process.send_signal(signal.SIGHUP)
        wait_for_line(tmp_path / "log", "Reloaded configuration: debug, label")
        assert json.loads(curl(tmp_path, "/info"))["Labels"] == ["c=d"]
        process.terminate()
        assert process.wait(30) == 0
    assert not (tmp_path / "s.sock").exists()
    assert not (tmp_path / "pid").exists()


def test_followers_do_not_keep_a_daemon_from_ending(daemon, tmp_path):
    with daemon() as process:
        command = ["curl", "-sN", "-D", "-", "--unix-socket", str(tmp_path / "s.sock"), "http://x/events"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            assert b"200 OK" in follower.stdout.readline()
            process.terminate()
            assert process.wait(30) == 0
            follower.wait(30)


def test_the_limit_of_open_files_is_raised(daemon):
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with daemon() as process:
        limits = open(f"/proc/{process.pid}/limits").read()  # noqa: SIM115
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == [str(hard), str(hard)]
        process.terminate()
        process.wait(30)


def test_a_second_daemon_on_the_same_pidfile_does_not_start(daemon, tmp_path):
    with daemon() as process:
        told = wherryd("--pidfile", str(tmp_path / "pid"), "-H", f"unix://{tmp_path}/other.sock")
        assert told.returncode == 1
        assert f"process with PID {process.pid} is still running" in told.stderr
        process.terminate()
        process.wait(30)


def wait_for_line(path, words):
    with path.open() as log:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if words in log.readline():
                return
        raise AssertionError(f"no line {words!r} in the log")
