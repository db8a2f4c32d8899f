"""Containers outlive their daemon, and the next daemon knows everything."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import pexpect
import pytest

COUNT = 20


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def pids(daemon, names):
    return daemon.out("inspect", "-f", "{{.State.Pid}}", *names).split()


def test_twenty_containers_outlive_a_killed_daemon(daemon):
    """All keep their process, log on, answer on their port; an end during the outage keeps its code and time."""
    names = [f"c{number}" for number in range(COUNT)]
    for name in names:
        daemon.docker(
            "run", "-d", "--name", name, "busybox", "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"
        )
    page = "mkdir /w; echo up > /w/index.html; httpd -f -p 80 -h /w"
    daemon.docker("run", "-d", "--name", "web", "-p", "127.0.0.1:42199:80", "busybox", "sh", "-c", page)
    daemon.docker("run", "-d", "--name", "ends", "busybox", "sh", "-c", "read x < /f; exit 7", check=False)
    daemon.docker("rm", "-f", "ends")
    daemon.docker("run", "-d", "--name", "ends", "busybox", "sh", "-c", "mkfifo /f; read x < /f; exit 7")
    before = pids(daemon, names)
    ending = pids(daemon, ["ends"])[0]
    daemon.kill()
    assert all(alive(pid) for pid in before)
    assert urllib.request.urlopen("http://127.0.0.1:42199/", timeout=5).read() == b"up\n"
    with open(f"/proc/{ending}/root/f", "w") as fifo:
        fifo.write("go\n")
    ended_at = time.time()
    while alive(ending):
        time.sleep(0.01)
    time.sleep(0.5)
    daemon.start()
    assert pids(daemon, names) == before
    for name in names:
        lines = daemon.out("logs", name).splitlines()
        assert lines == [str(number) for number in range(len(lines))], "no line is lost or doubled"
        assert len(lines) >= 5
    state = json.loads(daemon.out("inspect", "-f", "{{json .State}}", "ends"))
    assert (state["Status"], state["ExitCode"]) == ("exited", 7)
    finished = state["FinishedAt"].partition(".")[0]
    assert abs(time.mktime(time.strptime(finished, "%Y-%m-%dT%H:%M:%S")) - time.timezone - ended_at) < 3
    daemon.docker("exec", names[0], "true")
    daemon.docker("stop", "-t", "0", *names)


def test_an_attached_terminal_outlives_the_daemon(daemon):
    shell = pexpect.spawn(
        "docker", ["run", "-it", "--name", "ss", "busybox", "sh"], env=daemon.environment, timeout=20, encoding="utf-8"
    )
    shell.expect("/ # ")
    inside = pexpect.spawn("docker", ["exec", "-it", "ss", "sh"], env=daemon.environment, timeout=20, encoding="utf-8")
    inside.expect("/ # ")
    daemon.kill()
    for session in (shell, inside):
        session.sendline("echo still $((40+2))")
        session.expect("still 42")
    daemon.start()
    shell.sendline("exit 3")
    shell.expect(pexpect.EOF)
    inside.close(force=True)
    assert daemon.out("wait", "ss") == "3"


def monitor_of(daemon, name):
    """The monitor is the parent of the container's first process."""
    (pid,) = pids(daemon, [name])
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_a_killed_monitor_is_replaced_and_no_line_is_lost(daemon):
    script = "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.05; done; exit 4"
    daemon.docker("run", "-d", "--name", "mm", "busybox", "sh", "-c", script)
    while len(daemon.out("logs", "mm").splitlines()) < 10:
        time.sleep(0.05)
    os.kill(monitor_of(daemon, "mm"), signal.SIGKILL)
    assert daemon.out("wait", "mm") == "4"
    assert daemon.out("logs", "mm").splitlines() == [str(number) for number in range(60)]


def test_a_graceful_stop_is_quick_with_followers_and_leaves_containers_running(daemon):
    daemon.docker("run", "-d", "--name", "ff", "busybox", "sleep", "1000")
    followers = [
        subprocess.Popen(["docker", *words], env=daemon.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for words in (["logs", "-f", "ff"], ["events"], ["wait", "ff"])
    ]
    (pid,) = pids(daemon, ["ff"])
    time.sleep(0.3)
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 4
    for follower in followers:
        follower.communicate(timeout=10)
    assert alive(pid)
    daemon.start()
    assert daemon.out("ps", "-q", "--no-trunc") == daemon.out("inspect", "-f", "{{.Id}}", "ff")


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_a_policy_brings_back_what_died_without_a_daemon(daemon, policy):
    daemon.docker("run", "-d", "--name", "pp", "--restart", policy, "busybox", "sleep", "1000")
    (pid,) = pids(daemon, ["pp"])
    daemon.kill()
    os.kill(int(pid), signal.SIGKILL)
    daemon.start()
    deadline = time.monotonic() + 10
    while daemon.out("inspect", "-f", "{{.State.Running}}", "pp") != "true" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "pp") == "true"
    assert pids(daemon, ["pp"]) != [pid]


@pytest.mark.parametrize("killed", ["daemon", "daemon monitor"])
def test_execs_are_known_to_the_next_daemon(daemon, killed):
    """Those that run go on and are watched again; one that ended keeps its code while its monitor lives."""
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    api = daemon.client().api
    running = api.exec_create(
        "box", ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"], environment=["A=1"]
    )
    ended = api.exec_create("box", ["sh", "-c", "exit 3"], user="1000", privileged=False)
    for each in (running, ended):
        api.exec_start(each, detach=True)
    while api.exec_inspect(ended)["Running"]:
        time.sleep(0.01)
    before = api.exec_inspect(running), api.exec_inspect(ended)
    daemon.kill()
    if "monitor" in killed:
        with (daemon.root / "exec/containers" / before[0]["ContainerID"] / "alive.json").open() as file:
            os.kill(json.load(file)["monitor_pid"], signal.SIGKILL)
    daemon.start()
    assert api.exec_inspect(running) == before[0]
    assert api.inspect_container("box")["ExecIDs"] == [running["Id"]]
    if "monitor" not in killed:
        assert api.exec_inspect(ended) == before[1]
        assert before[1]["ExitCode"] == 3
    os.kill(before[0]["Pid"], signal.SIGTERM)
    while api.exec_inspect(running)["Running"]:
        time.sleep(0.01)
    assert api.exec_inspect(running)["ExitCode"] == 9
    api.close()


def test_an_attached_exec_ends_with_its_code_although_the_daemon_was_killed_meanwhile(daemon):
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    command = ["docker", "exec", "-i", "box", "sh", "-c", "echo ready; read x; echo got $x; exit 6"]
    with subprocess.Popen(command, env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"ready\n"
        daemon.kill()
        daemon.start()
        client.stdin.write(b"it\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"got it\n"
        client.stdin.close()
        assert client.wait(20) == 6
