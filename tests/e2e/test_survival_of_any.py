"""Whatever is killed of what stands behind a container, in any combination, the container and its users go on."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import pexpect
import pytest

PORT = 42197
VICTIMS = [
    "daemon",
    "nursery",
    "monitor",
    "keeper",
    "daemon nursery",
    "daemon monitor",
    "daemon keeper",
    "nursery monitor",
    "daemon nursery monitor",
]
LOGGER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"
WEB = "mkdir /w; echo up > /w/index.html; httpd -f -p 80 -h /w"
ENDS = "mkfifo /f; read x < /f; exit 7"


def processes_named(name, word):
    """Pids of processes of that name whose arguments contain a word, or whose parent's do."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "comm").read_text().strip() == name:
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
                lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in (path.name, parent)]
                if any(word in line for line in lines):
                    found.append(int(path.name))
    return found


def victims_of(daemon, kinds):
    keeper = str(daemon.root / "exec/keeper.sock")
    found = {
        "daemon": lambda: [daemon.process.pid],
        "nursery": lambda: processes_named("wherry-nursery", keeper),
        "keeper": lambda: processes_named("wherry-keeper", keeper),
        "monitor": lambda: [
            json.loads(path.read_text())["monitor_pid"]
            for path in (daemon.root / "exec/containers").glob("*/alive.json")
        ],
    }
    return [pid for kind in kinds for pid in found[kind]()]


def kill_all(pids):
    """Kill at once, and wait until all are dead."""
    pidfds = [os.pidfd_open(pid) for pid in pids]
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pidfd in pidfds:
        await_end(pidfd)


def await_end(pidfd):
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(20_000)
    os.close(pidfd)


def terminal(daemon, *arguments):
    shell = pexpect.spawn("docker", [*arguments], env=daemon.environment, timeout=30, encoding="utf-8")
    shell.expect("/ # ")
    return shell


def pipe(daemon, *arguments):
    return subprocess.Popen(
        ["docker", *arguments], env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def echoes(talker, word):
    talker.stdin.write(f"{word}\n")
    talker.stdin.flush()
    return talker.stdout.readline() == f"{word}\n"


def lines_of(daemon, name):
    return daemon.out("logs", name).splitlines()


def state_of(daemon, name):
    return json.loads(daemon.out("inspect", "-f", "{{json .State}}", name))


def page(address):
    return urllib.request.urlopen(f"http://{address}/", timeout=10).read()


@pytest.mark.parametrize("kinds", VICTIMS)
def test_all_goes_on_when_these_are_killed(daemon, kinds):
    kinds = kinds.split()
    names = ["logger", "web", "shell", "cat"]
    daemon.docker("run", "-d", "--name", "logger", "busybox", "sh", "-c", LOGGER)
    daemon.docker("run", "-d", "--name", "web", "-p", f"127.0.0.1:{PORT}:80", "busybox", "sh", "-c", WEB)
    daemon.docker("run", "-d", "--name", "ends", "busybox", "sh", "-c", ENDS)
    shell = terminal(daemon, "run", "-it", "--name", "shell", "busybox", "sh")
    talkers = [pipe(daemon, "run", "-i", "--name", "cat", "busybox", "cat")]
    assert echoes(talkers[0], "before")
    inside = terminal(daemon, "exec", "-it", "logger", "sh")
    talkers.append(pipe(daemon, "exec", "-i", "logger", "cat"))
    assert echoes(talkers[1], "before")
    pids = {name: state_of(daemon, name)["Pid"] for name in (*names, "ends")}
    address = daemon.out("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")

    kill_all(victims_of(daemon, kinds))
    if "daemon" in kinds:
        daemon.process.wait()
    assert page(f"127.0.0.1:{PORT}") == page(address) == b"up\n"
    ending = os.pidfd_open(pids["ends"])
    begun = time.time()
    Path(f"/proc/{pids['ends']}/root/f").write_text("go\n")
    await_end(ending)
    over = time.time()
    if "daemon" in kinds:
        daemon.start()

    assert {name: state_of(daemon, name)["Pid"] for name in names} == {name: pids[name] for name in names}
    daemon.docker("wait", "ends")
    end = state_of(daemon, "ends")
    assert (end["Status"], end["ExitCode"]) == ("exited", 7)
    assert begun <= datetime.fromisoformat(end["FinishedAt"][:26] + "+00:00").timestamp() <= over + 0.5
    for session in (shell, inside):
        session.sendline("echo still $((40+2))")
        session.expect("still 42")
    for talker in talkers:
        assert echoes(talker, "after")
    seen = len(lines_of(daemon, "logger"))
    while len(lines := lines_of(daemon, "logger")) <= seen:
        pass
    assert lines == [str(number) for number in range(len(lines))], "no line is lost or doubled"
    assert page(f"127.0.0.1:{PORT}") == b"up\n"

    inside.sendline("exit 4")
    inside.expect(pexpect.EOF)
    inside.close()
    talkers[1].communicate()
    shell.sendline("exit 3")
    shell.expect(pexpect.EOF)
    shell.close()
    assert daemon.out("wait", "shell") == "3"
    talkers[0].communicate()
    assert daemon.out("wait", "cat") == "0"
    if "daemon" not in kinds:  # else the command line has lost its wait, and can only say 125
        assert (shell.exitstatus, inside.exitstatus) == (3, 4)
        assert [talker.returncode for talker in talkers] == [0, 0]
