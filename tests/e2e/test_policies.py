"""Restart policies and signals as dockerd has them: what counts as the user's wish, and what a policy may still do."""

import json
import time

import pytest


def state(daemon, name):
    found = json.loads(daemon.out("inspect", name))[0]
    return found["State"] | {"RestartCount": found["RestartCount"]}


def eventually(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run(daemon, *arguments):
    return daemon.out("run", "-d", "--network", "none", *arguments)


def test_who_starts_by_hand_gives_all_tries_again(daemon):
    run(daemon, "--name", "two", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo x; false")
    eventually(lambda: state(daemon, "two")["Status"] == "exited")
    assert state(daemon, "two")["RestartCount"] == 2
    daemon.docker("start", "two")
    eventually(lambda: state(daemon, "two")["Status"] == "exited")
    assert daemon.out("logs", "two").split() == ["x"] * 6


def test_a_container_that_waits_for_its_restart_can_be_killed(daemon):
    run(daemon, "--name", "loop", "--restart", "always", "busybox", "false")
    eventually(lambda: state(daemon, "loop")["RestartCount"] >= 4)  # by now it waits most of the time
    eventually(lambda: state(daemon, "loop")["Status"] == "restarting")
    daemon.docker("kill", "loop")
    assert state(daemon, "loop")["Status"] == "exited"


def test_only_its_own_stop_signal_ends_a_policy(daemon):
    script = "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done"
    run(daemon, "--name", "own", "--stop-signal", "QUIT", "--restart", "always", "busybox", "sh", "-c", script)
    eventually(lambda: daemon.out("logs", "own") == "up")
    daemon.docker("kill", "-s", "TERM", "own")
    eventually(lambda: daemon.out("logs", "own") == "up\nup")
    # To stop is to stop, by whichever signal.
    daemon.docker("stop", "-s", "TERM", "own")
    assert (state(daemon, "own")["Status"], state(daemon, "own")["ExitCode"]) == ("exited", 4)


def test_the_end_before_stays_known_while_it_runs_again(daemon):
    run(daemon, "--name", "again", "busybox", "sleep", "1000")
    daemon.docker("kill", "again")
    finished = state(daemon, "again")["FinishedAt"]
    daemon.docker("start", "again")
    assert state(daemon, "again")["FinishedAt"] == finished
    daemon.restart()
    assert state(daemon, "again")["FinishedAt"] == finished


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ((), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]),
        (("-o", "pid,comm"), ["PID", "COMMAND"]),
        (("aux",), ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]),
    ],
)
def test_top_takes_the_options_of_ps(daemon, arguments, titles):
    run(daemon, "--name", "topped", "busybox", "sh", "-c", "sleep 1000 & exec sleep 2000")
    lines = daemon.out("top", "topped", *arguments).splitlines()
    assert lines[0].split() == titles
    assert len(lines) == 3
    client = daemon.client()
    assert client.containers.get("topped").top(ps_args=" ".join(arguments) or "-ef")["Titles"] == titles
    client.close()


def test_top_says_what_ps_says(daemon):
    run(daemon, "--name", "topped", "busybox", "sleep", "1000")
    assert "Couldn't find PID field in ps output" in daemon.docker("top", "topped", "-o", "cmd", check=False).stderr
    assert 'specifying "ppid=PID" is not allowed' in daemon.docker("top", "topped", "-o ppid=PID", check=False).stderr
    assert "unknown user-defined format" in daemon.docker("top", "topped", "-o", "nosuch", check=False).stderr


def test_a_childs_lack_of_memory_is_told_once_as_it_happens(daemon):
    since = str(time.time())
    script = "(x=a; while :; do x=$x$x; done); exec sleep 1000"
    name = run(daemon, "--name", "parent", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", script)
    eventually(lambda: state(daemon, name)["OOMKilled"])
    assert state(daemon, name)["Status"] == "running"
    daemon.restart()
    assert state(daemon, name)["OOMKilled"]
    daemon.docker("kill", name)
    told = daemon.out("events", "--since", since, "--until", str(time.time()), "--format", "{{.Action}}").splitlines()
    assert [action for action in told if action in {"start", "oom", "kill", "die"}] == ["start", "oom", "kill", "die"]
    assert state(daemon, name)["OOMKilled"]
    daemon.docker("start", name)
    eventually(lambda: state(daemon, name)["OOMKilled"])
