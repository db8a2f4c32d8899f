"""Sessions: what is made in one goes with its last connection, and outlives a daemon that comes back in time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

LABEL, HEADER = "wherry.session", "X-Wherry-Session"
SLEEP = ("busybox", "sleep", "1000")


class Held:
    """A connection that holds a session."""

    def __init__(self, daemon, path="/sessions"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(daemon.socket))
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass
        if self.status != 200:
            self.close()
            return
        self.file.readline()  # a chunk's length
        self.said = json.loads(self.file.readline())
        self.id = self.said.get("Id", "")

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def hold(daemon):
    held = []

    def one(path="/sessions"):
        held.append(Held(daemon, path))
        return held[-1]

    yield one
    for each in held:
        each.close()


def run(daemon, session, name, *flags):
    return daemon.out("run", "-d", "--name", name, "--label", f"{LABEL}={session}", *flags, *SLEEP)


def until_gone(daemon, *names):
    """Wait for the events of their removal, which may have come already."""
    client = daemon.client()
    events = client.events(since=1, decode=True, filters={"event": "destroy"})
    left = {daemon_id(client, name) for name in names} - {None}
    try:
        while left:
            left.discard(next(events)["Actor"]["ID"])
    finally:
        events.close()
        client.close()


def daemon_id(client, name):
    try:
        return client.containers.get(name).id
    except docker.errors.NotFound:
        return None


def sessions(daemon):
    client = daemon.client()
    found = client.api.get(f"{client.api.base_url}/sessions").json()
    client.close()
    return [one["Id"] for one in found]


def test_everything_goes_with_the_connection(daemon, hold):
    held = hold()
    run(daemon, held.id, "runs", "-v", "/data")
    run(daemon, held.id, "paused")
    daemon.docker("pause", "paused")
    daemon.docker("create", "--name", "made", "--label", f"{LABEL}={held.id}", *SLEEP)
    daemon.docker("volume", "create", "--label", f"{LABEL}={held.id}", "mine")
    daemon.docker("volume", "create", "other")
    daemon.docker("run", "-d", "--name", "stays", *SLEEP)
    held.close()
    until_gone(daemon, "runs", "paused", "made")
    assert daemon.out("ps", "-a", "--format", "{{.Names}}") == "stays"
    deadline = time.monotonic() + 20
    while sessions(daemon):
        assert time.monotonic() < deadline
    assert daemon.out("volume", "ls", "-q") == "other"


def test_a_session_lasts_as_long_as_anybody_holds_it(daemon, hold):
    first = hold()
    second = hold(f"/sessions/{first.id}")
    assert second.id == first.id
    run(daemon, first.id, "box")
    first.close()
    third = hold(f"/sessions/{second.id}")
    second.close()
    assert sessions(daemon) == [third.id]
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "box") == "true"
    third.close()
    until_gone(daemon, "box")


def test_a_grace_lets_a_client_come_back(daemon, hold):
    held = hold("/sessions?grace=1000")
    assert held.said["GraceSeconds"] == 1000
    run(daemon, held.id, "box")
    held.close()
    again = hold(f"/sessions/{held.id}")
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "box") == "true"
    client = daemon.client()
    answer = client.api.delete(f"{client.api.base_url}/sessions/{again.id}")
    client.close()
    assert answer.status_code == 204
    assert daemon.out("ps", "-aq") == ""
    assert again.file.readline() == b"\r\n"  # the chunk's end
    assert again.file.readline() == b"0\r\n"  # the stream's


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_session_waits_for_its_clients_when_the_daemon_comes_back(daemon, hold, number):
    held = hold()
    run(daemon, held.id, "box")
    daemon.stop(number)
    daemon.start()
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "box") == "true"
    again = hold(f"/sessions/{held.id}")
    again.close()
    until_gone(daemon, "box")


def test_without_its_session_nothing_is_made(daemon, hold):
    held = hold()
    held.close()
    for verb in (("create",), ("run", "-d")):
        deadline = time.monotonic() + 20
        while held.id in sessions(daemon):
            assert time.monotonic() < deadline
        done = daemon.docker(*verb, "--label", f"{LABEL}={held.id}", *SLEEP, check=False)
        assert f"No such session: {held.id}" in done.stderr
    done = daemon.docker("volume", "create", "--label", f"{LABEL}=nosuch", "vol", check=False)
    assert "No such session: nosuch" in done.stderr
    assert Held(daemon, "/sessions/nosuch").status == 404
    assert Held(daemon, "/sessions?grace=-1").status == 400
    assert Held(daemon, "/sessions?grace=x").status == 400
    assert daemon.out("ps", "-aq") + daemon.out("volume", "ls", "-q") == ""


def test_a_header_puts_what_a_client_makes_into_the_session(daemon, hold):
    held = hold()
    client = daemon.client()
    client.api.headers[HEADER] = held.id
    box = client.containers.run("busybox", "sleep 1000", detach=True, name="box")
    volume = client.volumes.create("vol")
    assert box.labels == volume.attrs["Labels"] == {LABEL: held.id}
    client.close()
    held.close()
    until_gone(daemon, "box")


SCRIPT = """
import docker, os, subprocess, sys
subprocess.run(["docker", "run", "-d", "--name", "cli", "busybox", "sleep", "1000"], check=True, stdout=2)
subprocess.run([sys.argv[1], "run", "-d", "--name", "own", "busybox", "sleep", "1000"], check=True, stdout=2)
docker.from_env().containers.run("busybox", "sleep 1000", detach=True, name="py")
print(*sorted(one.name for one in docker.from_env().containers.list()), flush=True)
sys.stdin.read()
sys.exit(7)
"""


def program(daemon):
    wherry = Path(sys.executable).with_name("wherry")
    return subprocess.Popen(
        [wherry, "session", sys.executable, "-c", SCRIPT, wherry],
        env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_program_in_a_session_needs_to_know_nothing_of_it(daemon):
    done = program(daemon)
    with done:
        assert done.stdout.readline() == "cli own py\n"
        done.stdin.close()
        assert done.wait(30) == 7
    assert daemon.out("ps", "-aq") == ""
    assert daemon.docker("ps", "-aq").returncode == 0


def test_what_a_killed_program_made_goes_all_the_same(daemon):
    done = program(daemon)
    with done:
        assert done.stdout.readline() == "cli own py\n"
        os.kill(done.pid, signal.SIGKILL)
        until_gone(daemon, "cli", "own", "py")
        done.stdin.close()


def test_a_program_goes_on_in_its_session_when_the_daemon_is_killed(daemon):
    done = program(daemon)
    with done:
        assert done.stdout.readline() == "cli own py\n"
        daemon.kill()
        daemon.start()
        held = sessions(daemon)
        assert len(held) == 1
        assert len(daemon.out("ps", "-q").split()) == 3
        done.stdin.close()
        assert done.wait(30) == 7
    assert daemon.out("ps", "-aq") == ""


def test_a_command_that_is_not_there_says_so(daemon):
    done = daemon.wherry("session", "nosuch", check=False)
    assert (done.returncode, done.stderr) == (127, "wherry: nosuch: command not found\n")
    assert sessions(daemon) == []
