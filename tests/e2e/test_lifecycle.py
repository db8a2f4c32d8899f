"""The life of a container: every verb and the events it tells."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.api.conftest import UnixConnection


def status(daemon, name):
    return daemon.out("inspect", "-f", "{{.State.Status}}", name)


@pytest.fixture
def sleeper(daemon):
    daemon.docker("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    return "sleeper"


@pytest.fixture
def free_port():
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def test_create_start_stop_start(daemon):
    daemon.docker("create", "--name", "one", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
    assert status(daemon, "one") == "created"
    daemon.docker("start", "one")
    assert status(daemon, "one") == "running"
    daemon.docker("stop", "one")
    assert daemon.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one") == "exited 5"
    daemon.docker("start", "one")
    assert status(daemon, "one") == "running"


def test_stop_kills_what_does_not_listen(daemon, sleeper):
    begun = time.monotonic()
    daemon.docker("stop", "-t", "1", sleeper)
    assert 0.9 < time.monotonic() - begun < 8
    assert daemon.out("inspect", "-f", "{{.State.ExitCode}}", sleeper) == "137"


def test_kill_by_signal(daemon):
    daemon.docker(
        "run",
        "-d",
        "--name",
        "trap",
        "busybox",
        "sh",
        "-c",
        "trap 'echo got; exit 9' USR1; echo up; while :; do sleep 0.1; done",
    )
    while daemon.out("logs", "trap") != "up":
        time.sleep(0.05)
    daemon.docker("kill", "-s", "USR1", "trap")
    assert daemon.out("wait", "trap") == "9"
    assert daemon.out("logs", "trap") == "up\ngot"


def test_restart_keeps_the_files(daemon):
    daemon.docker("run", "-d", "--name", "again", "busybox", "sh", "-c", "echo x >> /f; wc -l < /f; sleep 1000")
    daemon.docker("restart", "-t", "0", "again")
    deadline = time.monotonic() + 10
    while daemon.out("logs", "again") != "1\n2" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.out("logs", "again") == "1\n2"


def test_pause_and_unpause(daemon, sleeper):
    daemon.docker("pause", sleeper)
    assert status(daemon, sleeper) == "paused"
    assert "(Paused)" in daemon.out("ps")
    done = daemon.docker("exec", sleeper, "true", check=False)
    assert "is paused" in done.stderr
    daemon.docker("unpause", sleeper)
    daemon.docker("exec", sleeper, "true")


def test_a_paused_container_can_be_killed(daemon, sleeper):
    daemon.docker("pause", sleeper)
    daemon.docker("kill", sleeper)
    assert status(daemon, sleeper) == "exited"


@pytest.mark.parametrize(("method", "verb"), [("DELETE", "?force=1"), ("POST", "/kill")])
def test_what_was_killed_is_not_frozen_before_it_has_ended(daemon, sleeper, method, verb):
    """On cgroup v1 what is frozen does not die, so whoever waits for the end would wait for ever."""
    monitor = parent(int(daemon.out("inspect", "-f", "{{.State.Pid}}", sleeper)))
    os.kill(monitor, signal.SIGSTOP)  # which delivers the signal
    pausing, ending, looking = (UnixConnection(daemon.socket) for _ in range(3))
    ending.request(method, f"/v1.41/containers/{sleeper}{verb}")
    go_round(looking)
    pausing.request("POST", f"/v1.41/containers/{sleeper}/pause")
    go_round(looking)
    os.kill(monitor, signal.SIGCONT)
    answer = pausing.getresponse()
    assert (answer.status, b"is not running" in answer.read()) == (409, True)
    assert ending.getresponse().status == 204
    assert status(daemon, sleeper) == "exited" if verb == "/kill" else not daemon.out("ps", "-aq")
    for connection in (pausing, ending, looking):
        connection.close()


def go_round(connection):
    """Have the daemon turn its loop often enough that what was asked before is under way."""
    for _ in range(50):
        connection.request("GET", "/_ping")
        assert connection.getresponse().read() == b"OK"


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_rename(daemon, sleeper):
    daemon.docker("rename", sleeper, "other")
    assert daemon.out("ps", "--format", "{{.Names}}") == "other"
    done = daemon.docker("rename", "other", "bad/name", check=False)
    assert "Invalid container name" in done.stderr


def test_names_are_unique(daemon, sleeper):
    done = daemon.docker("create", "--name", sleeper, "busybox", "true", check=False)
    assert done.returncode == 1
    assert 'Conflict. The container name "/sleeper" is already in use by container' in done.stderr


def test_rm_wants_force_for_a_running_one(daemon, sleeper):
    done = daemon.docker("rm", sleeper, check=False)
    assert 'cannot remove container "sleeper": container is running' in done.stderr
    daemon.docker("rm", "-f", sleeper)
    assert daemon.out("ps", "-aq") == ""


def test_top_and_port_and_wait(daemon):
    daemon.docker("run", "-d", "--name", "tt", "-p", "127.0.0.1::80", "busybox", "sleep", "1000")
    assert "sleep 1000" in daemon.out("top", "tt")
    assert daemon.out("port", "tt", "80").startswith("127.0.0.1:")
    waiting = subprocess.Popen(["docker", "wait", "tt"], env=daemon.environment, stdout=subprocess.PIPE, text=True)
    daemon.docker("kill", "tt")
    assert waiting.communicate(timeout=20)[0].strip() == "137"


def test_events_tell_the_life_of_a_container(daemon):
    since = time.time()
    daemon.docker("run", "--rm", "--name", "told", "busybox", "true")
    lines = daemon.out("events", "--since", f"{since:.6f}", "--until", f"{time.time():.6f}", "--format", "{{json .}}")
    events = [json.loads(line) for line in lines.splitlines()]
    actions = [event["Action"] for event in events if event["Type"] == "container"]
    assert actions == ["create", "attach", "start", "die", "destroy"]
    die = next(event for event in events if event["Action"] == "die")
    assert die["Actor"]["Attributes"]["exitCode"] == "0"
    assert die["Actor"]["Attributes"]["name"] == "told"


def test_ps_filters_and_formats(daemon, sleeper):
    daemon.docker("create", "--name", "made", "-l", "k=v", "busybox", "true")
    assert daemon.out("ps", "-a", "-f", "status=created", "--format", "{{.Names}}") == "made"
    assert daemon.out("ps", "-a", "-f", "label=k=v", "--format", "{{.Names}}") == "made"
    assert daemon.out("ps", "-f", "name=sleep", "--format", "{{.Names}}") == "sleeper"
    assert daemon.out("ps", "-a", "-n", "1", "--format", "{{.Names}}") == "made"
    done = daemon.docker("ps", "-f", "nonsense=x", check=False)
    assert "invalid filter 'nonsense'" in done.stderr


def test_ps_finds_ports_of_what_runs_by_the_hosts_number_and_by_the_containers(daemon, free_port):
    daemon.docker("run", "-d", "--name", "box", "-p", f"{free_port}:80", "--expose", "90", "busybox", "sleep", "1000")
    daemon.docker("create", "--name", "idle", "-p", f"{free_port}:80", "busybox")

    def found(*filters):
        flags = [word for text in filters for word in ("--filter", text)]
        return daemon.out("ps", "-a", "--format", "{{.Names}}", *flags)

    assert found(f"publish={free_port}") == "box"
    assert found(f"publish={free_port - 1}-{free_port + 1}/tcp") == "box"
    assert found(f"publish={free_port}/udp") == ""
    assert found("publish=80") == ""
    assert found("expose=80") == found("expose=89-90") == "box"
    assert found("publish=1", "expose=90") == "box"
    assert found("ancestor=busybox@sha256:x") == ""


def test_an_exec_shows_the_containers_user(daemon):
    daemon.docker("run", "-d", "--name", "box", "-u", "1000", "busybox", "sleep", "1000")
    api = daemon.client().api
    shown = api.exec_inspect(api.exec_create("box", ["true"])["Id"])
    assert shown["ProcessConfig"]["user"] == "1000"


def test_a_directory_is_no_program_and_a_directory_without_devices_no_device(daemon):
    done = daemon.docker("run", "--rm", "busybox", "/bin", check=False)
    assert done.returncode == 126
    assert 'exec: "/bin": is a directory: permission denied' in done.stderr
    done = daemon.docker("run", "--rm", "--device", "/etc", "busybox", "true", check=False)
    words = 'error gathering device information while adding custom device "/etc": not a device node'
    assert words in done.stderr


def test_docker_py_drives_it(daemon):
    client = daemon.client()
    container = client.containers.run(
        "busybox", ["sh", "-c", "echo from py; sleep 1000"], detach=True, labels={"x": "y"}
    )
    assert [one.id for one in client.containers.list(filters={"label": "x=y"})] == [container.id]
    code, output = container.exec_run("echo inside")
    assert (code, output) == (0, b"inside\n")
    assert container.logs() == b"from py\n"
    container.stop(timeout=0)
    container.reload()
    assert container.status == "exited"
    container.remove()
    client.close()
