"""Attached streams: input, terminals, detach keys, followers."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest


def spawn(daemon, *arguments, program="docker"):
    return pexpect.spawn(
        program, list(arguments), env=daemon.environment, timeout=20, encoding="utf-8", dimensions=(30, 100)
    )


def test_standard_input_reaches_the_program(daemon):
    done = daemon.docker("run", "--rm", "-i", "busybox", "sh", "-c", "read a; echo got $a", input="hello\n")
    assert done.stdout == "got hello\n"


def test_the_end_of_input_ends_cat(daemon):
    assert daemon.docker("run", "--rm", "-i", "busybox", "cat", input="a\nb").stdout == "a\nb"


def test_a_shell_in_a_terminal(daemon):
    shell = spawn(daemon, "run", "--rm", "-it", "busybox", "sh")
    shell.expect("/ # ")
    shell.sendline("tty; stty size; echo $TERM")
    shell.expect("/dev/pts/0")
    shell.expect("30 100")
    shell.expect("xterm")
    shell.expect("/ # ")
    shell.setwinsize(50, 120)
    shell.sendline("until [ \"$(stty size)\" = '50 120' ]; do :; done; sh -c 'echo as$((40+2)); exec sleep 1000'")
    shell.expect("as42")
    shell.sendintr()
    shell.expect("/ # ")
    shell.sendline("exit 6")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 6


def test_detach_keys_leave_it_running(daemon):
    shell = spawn(daemon, "run", "-it", "--name", "kept", "busybox", "sh")
    shell.expect("/ # ")
    shell.send("\x10\x11")
    shell.expect(pexpect.EOF)
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "kept") == "true"
    again = spawn(daemon, "attach", "--detach-keys", "ctrl-x", "kept")
    again.sendline("echo back")
    again.expect("back")
    again.send("\x18")
    again.expect(pexpect.EOF)
    assert daemon.out("inspect", "-f", "{{.State.Running}}", "kept") == "true"


def test_two_clients_see_the_same(daemon):
    daemon.docker("run", "-d", "-i", "--name", "echoer", "busybox", "cat")
    first = subprocess.Popen(
        ["docker", "attach", "echoer"], env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    second = subprocess.Popen(
        ["docker", "attach", "--no-stdin", "echoer"], env=daemon.environment, stdout=subprocess.PIPE
    )
    wait_for_event(daemon, "echoer", "attach", 2)
    first.stdin.write(b"hello\n")
    first.stdin.flush()
    assert first.stdout.readline() == b"hello\n"
    assert second.stdout.readline() == b"hello\n"
    daemon.docker("kill", "echoer")
    assert first.wait(20) == 137
    assert second.wait(20) == 137
    for process in (first, second):
        process.stdout.close()
    first.stdin.close()


def wait_for_event(daemon, name, action, count):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = daemon.out("events", "--since", "0", "--until", "0s", "-f", f"container={name}", "-f", f"event={action}")
        if len(seen.splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{action} did not happen {count} times")


def test_logs_tail_since_and_follow(daemon):
    script = "for i in 1 2 3 4 5; do echo $i; done; read x < /go; echo end"
    daemon.docker("run", "-d", "--name", "logger", "busybox", "sh", "-c", f"mkfifo /go; {script}")
    while daemon.out("logs", "logger").splitlines()[-1:] != ["5"]:
        time.sleep(0.05)
    assert daemon.out("logs", "--tail", "2", "logger") == "4\n5"
    stamped = daemon.out("logs", "-t", "logger").splitlines()
    stamps = [line.split()[0] for line in stamped]
    assert stamps == sorted(set(stamps)), "each line has its own time"
    assert daemon.out("logs", "--since", stamps[3], "logger") == "4\n5"
    assert daemon.out("logs", "--until", stamps[1], "logger") == "1\n2"
    follower = subprocess.Popen(
        ["docker", "logs", "-f", "logger"], env=daemon.environment, stdout=subprocess.PIPE, text=True
    )
    assert [follower.stdout.readline() for _ in range(5)][-1] == "5\n"
    daemon.docker("exec", "logger", "sh", "-c", "echo > /go", check=False)
    assert follower.stdout.readline() == "end\n"
    assert follower.wait(20) == 0
    follower.stdout.close()


def test_logs_of_both_streams_stay_apart(daemon):
    daemon.docker("run", "--name", "both", "busybox", "sh", "-c", "echo out; echo err >&2")
    done = daemon.docker("logs", "both")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_rotation_bounds_the_files(daemon):
    flags = ["--log-opt", "max-size=10k", "--log-opt", "max-file=2"]
    daemon.docker(
        "run",
        "--name",
        "chatty",
        *flags,
        "busybox",
        "sh",
        "-c",
        "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done",
    )
    assert daemon.out("logs", "--tail", "1", "chatty") == "line 1999"
    directory = daemon.root / "data/containers" / daemon.out("inspect", "-f", "{{.Id}}", "chatty")
    sizes = [path.stat().st_size for path in directory.glob("*-json.log*")]
    assert len(sizes) == 2
    assert max(sizes) < 11_000


@pytest.mark.parametrize("flags", [[], ["-t"]])
def test_exec_attached_and_in_a_terminal(daemon, flags):
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    done = daemon.docker(
        "exec", "-e", "A=1", "-w", "/tmp", "-u", "1000", "box", "sh", "-c", "echo $A $PWD $(id -u); exit 4", check=False
    )
    assert (done.stdout, done.returncode) == ("1 /tmp 1000\n", 4)
    if flags:
        shell = spawn(daemon, "exec", "-it", "box", "sh")
        shell.expect("/ # ")
        shell.sendline("stty size")
        shell.expect("30 100")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)


def test_exec_failures_have_dockers_codes(daemon):
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    missing = daemon.docker("exec", "box", "nosuch", check=False)
    assert missing.returncode == 127
    assert "executable file not found" in missing.stdout + missing.stderr
    assert daemon.docker("exec", "-d", "box", "touch", "/made").returncode == 0
    deadline = time.monotonic() + 10
    while daemon.docker("exec", "box", "test", "-e", "/made", check=False).returncode and time.monotonic() < deadline:
        time.sleep(0.05)
    daemon.docker("exec", "box", "test", "-e", "/made")


def test_exec_reads_its_input(daemon):
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert daemon.docker("exec", "-i", "box", "cat", input="through\n").stdout == "through\n"


WHERRY = str(Path(sys.executable).with_name("wherry"))
SAYS_WHAT_IT_GETS = "trap 'echo caught' USR1; trap 'exit 5' USR2; while :; do echo ready; sleep 0.05; done"


@contextlib.contextmanager
def watching(daemon, program, verb, *flags):
    """A command line without a terminal that shows a program which says what signals it gets."""
    made = ["--name", "trapper", "busybox", "sh", "-c", SAYS_WHAT_IT_GETS]
    if verb == "attach":
        daemon.docker("run", "-d", *made)
        made = ["trapper"]
    process = subprocess.Popen(
        [program, verb, *flags, *made],
        env=daemon.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("verb", ["run", "attach"])
@pytest.mark.parametrize("program", ["docker", WHERRY], ids=["docker", "wherry"])
def test_a_signal_to_the_command_line_reaches_the_program(daemon, program, verb):
    with watching(daemon, program, verb) as process:
        process.send_signal(signal.SIGUSR1)
        assert "caught\n" in iter(process.stdout.readline, "")
        daemon.docker("kill", "--signal", "USR2", "trapper")
        assert process.wait(20) == 5


@pytest.mark.parametrize("verb", ["run", "attach"])
@pytest.mark.parametrize("program", ["docker", WHERRY], ids=["docker", "wherry"])
def test_without_sig_proxy_a_signal_is_the_command_lines_own(daemon, program, verb):
    with watching(daemon, program, verb, "--sig-proxy=false") as process:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
    daemon.docker("kill", "--signal", "USR2", "trapper")
    assert daemon.out("wait", "trapper") == "5"
    assert "caught" not in daemon.out("logs", "trapper")
