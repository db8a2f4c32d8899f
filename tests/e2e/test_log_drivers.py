"""Lines of containers reach the servers that log drivers name, also when daemon, monitor and server are killed."""

import json
import os
import select
import signal
import socket
import threading
from pathlib import Path

import pytest

SECONDS = 30


class Syslog:
    """A syslog server on a unix stream socket, which can be stopped and started again."""

    def __init__(self, path):
        self.path = str(path)
        self.lines = []
        self.changed = threading.Condition()
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connections = []
        self.accepting = threading.Thread(target=self._accept, args=(self.listener,))
        self.accepting.start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        os.unlink(self.path)
        for connection, thread in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
            thread.join()
            connection.close()

    def until(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.lines), SECONDS), self.lines[-5:]

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._read, args=(connection,))
            self.connections.append((connection, thread))
            thread.start()

    def _read(self, connection):
        try:
            for line in connection.makefile("rb"):
                with self.changed:
                    self.lines.append(line.partition(b"]: ")[2].strip().decode())
                    self.changed.notify_all()
        except OSError:
            return


@pytest.fixture
def syslog(tmp_path):
    server = Syslog(tmp_path / "syslog.sock")
    yield server
    server.stop()


def flags(server, *more):
    options = (f"syslog-address=unix://{server.path}", *more)
    return ("--log-driver", "syslog", *(word for option in options for word in ("--log-opt", option)))


def monitor_of(daemon, name):
    identifier = daemon.out("inspect", "-f", "{{.Id}}", name)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(f"wherry-monitor {identifier}".encode()):
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError("it has no monitor")


def test_lines_are_sent_and_read_back_here(daemon, syslog):
    done = daemon.docker(
        "run", "--rm", "--name", "talker", *flags(syslog), "busybox", "sh", "-c", "echo out; echo err >&2"
    )
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    syslog.until(lambda lines: sorted(lines) == ["err", "out"])
    daemon.docker("run", "--name", "kept", *flags(syslog), "busybox", "seq", "1000")
    assert daemon.out("logs", "--tail", "2", "kept").split() == ["999", "1000"]
    syslog.until(lambda lines: lines[2:] == [str(number) for number in range(1, 1001)])


def test_without_a_cache_lines_are_sent_but_not_read_back(daemon, syslog):
    daemon.docker("run", "--name", "quiet", *flags(syslog, "cache-disabled=true"), "busybox", "echo", "hello")
    syslog.until(lambda lines: lines == ["hello"])
    done = daemon.docker("logs", "quiet", check=False)
    assert "configured logging driver does not support reading" in done.stderr


def test_nothing_is_lost_when_daemon_monitor_and_server_are_killed(daemon, syslog, tmp_path):
    command = "i=0; while [ ! -e /go/stop ]; do echo $i; i=$((i+1)); usleep 5000; done"
    daemon.docker(
        "run", "-d", "--name", "long", "-v", f"{tmp_path}:/go", *flags(syslog), "busybox", "sh", "-c", command
    )
    syslog.until(lambda lines: len(lines) > 50)
    daemon.kill()
    count = len(syslog.lines)
    daemon.start()
    syslog.until(lambda lines: len(lines) > count + 50)
    os.kill(monitor_of(daemon, "long"), signal.SIGKILL)
    count = len(syslog.lines)
    syslog.until(lambda lines: len(lines) > count + 50)
    syslog.stop()
    said = len(daemon.out("logs", "long").splitlines())
    while len(daemon.out("logs", "long").splitlines()) < said + 20:
        pass  # lines come, and nobody takes them
    syslog.start()
    (tmp_path / "stop").touch()
    daemon.docker("wait", "long")
    daemon.kill()
    daemon.start()
    wanted = daemon.out("logs", "long").splitlines()
    assert wanted == [str(number) for number in range(len(wanted))]
    syslog.until(lambda lines: set(wanted) <= set(lines))
    assert list(dict.fromkeys(syslog.lines)) == wanted


def test_what_was_said_while_there_was_no_daemon_is_sent_by_the_next(daemon, syslog, tmp_path):
    command = "while [ ! -e /go/on ]; do usleep 5000; done; seq 100; echo last"
    daemon.docker(
        "run", "-d", "--name", "waits", "-v", f"{tmp_path}:/go", *flags(syslog), "busybox", "sh", "-c", command
    )
    process = int(daemon.out("inspect", "-f", "{{.State.Pid}}", "waits"))
    pidfd = os.pidfd_open(process)
    daemon.kill()
    (tmp_path / "on").touch()
    assert select.select([pidfd], [], [], SECONDS)[0]
    os.close(pidfd)
    daemon.start()
    syslog.until(lambda lines: lines and lines[-1] == "last")
    assert syslog.lines == [*map(str, range(1, 101)), "last"]


def test_removing_a_container_sends_its_last_lines_first(daemon, syslog):
    for _ in range(5):
        daemon.docker("run", "--rm", *flags(syslog), "busybox", "seq", "3000")
    syslog.until(lambda lines: len(lines) == 15_000)


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("syslog", ["syslog-address=tcp://127.0.0.1:1"], "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("syslog", ["syslog-address=tcp+tls://127.0.0.1:1"], "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("fluentd", ["fluentd-address=127.0.0.1:1"], "dial tcp 127.0.0.1:1: connect: connection refused"),
        (
            "gelf",
            ["gelf-address=tcp://127.0.0.1:1"],
            "gelf: cannot connect to GELF endpoint: 127.0.0.1:1 dial tcp 127.0.0.1:1: connect: connection refused",
        ),
        ("journald", [], "journald is not enabled on this host"),
    ],
)
def test_a_start_fails_when_nobody_is_there_to_take_lines(daemon, driver, options, words):
    said = [word for option in options for word in ("--log-opt", option)]
    done = daemon.docker("run", "--name", "lonely", "--log-driver", driver, *said, "busybox", "true", check=False)
    assert done.returncode == 128 or done.returncode == 125
    assert f"failed to create task for container: failed to initialize logging driver: {words}" in done.stderr
    assert daemon.out("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "lonely").startswith(
        "128 failed to create"
    )
    daemon.docker("rm", "lonely")


def test_fluentd_may_come_later_when_that_is_said(daemon):
    options = ("--log-opt", "fluentd-address=127.0.0.1:1", "--log-opt", "fluentd-async=true")
    daemon.docker("run", "--name", "patient", "--log-driver", "fluentd", *options, "busybox", "echo", "hello")
    assert daemon.out("logs", "patient") == "hello"
    daemon.docker("rm", "patient")


def test_the_daemons_own_options_are_for_containers_that_do_not_say(another_daemon):
    daemon = another_daemon
    settings = daemon.root / "daemon.json"
    said = {"log-driver": "local", "log-opts": {"max-size": "5k", "cache-disabled": "false"}}
    settings.write_text(json.dumps(said))
    daemon.restart()
    assert daemon.out("info", "-f", "{{.LoggingDriver}}") == "local"
    daemon.docker("create", "--name", "plain", "busybox")
    daemon.docker("create", "--name", "own", "--log-opt", "max-size=7k", "busybox")
    daemon.docker("create", "--name", "other", "--log-driver", "json-file", "busybox")
    names = ("plain", "own", "other")
    shown = [json.loads(daemon.out("inspect", "-f", "{{json .HostConfig.LogConfig}}", name)) for name in names]
    assert shown == [
        {"Type": "local", "Config": said["log-opts"]},
        {"Type": "local", "Config": {"max-size": "7k", "cache-disabled": "false"}},
        {"Type": "json-file", "Config": {"cache-disabled": "false", "max-size": "20m", "max-file": "5"}},
    ]
    daemon.docker("rm", *names)
    daemon.stop()
    for wrong, words in (
        ({"log-opts": {"foo": "1"}}, "failed to set log opts: unknown log opt 'foo' for json-file log driver"),
        ({"log-driver": "nosuch"}, "failed to set log opts: logger: no log driver named 'nosuch' is registered"),
    ):
        settings.write_text(json.dumps(wrong))
        with pytest.raises(RuntimeError, match=words):
            daemon.start()
    settings.write_text("{}")
    daemon.start()
