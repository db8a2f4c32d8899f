"""Whole sessions at a terminal, typed into docker and into us."""

import os
import signal
import subprocess
import sys

import pexpect
import pytest

pytestmark = pytest.mark.peer
NONE = ("--network", "none")


@pytest.fixture(params=["docker", "wherry"])
def typed(request, docker, dockerd):
    """Starts a program on a terminal of 33 rows and 101 columns; both must pass the same test."""
    program = [docker] if request.param == "docker" else [sys.executable, "-m", "wherry"]
    children = []

    def start(*words):
        environment = {**os.environ, "DOCKER_HOST": dockerd}
        words = [*program[1:], *words]
        child = pexpect.spawn(
            program[0], words, dimensions=(33, 101), timeout=20, env=environment, preexec_fn=_as_at_a_terminal
        )
        children.append(child)
        return child

    def run(*words, **options):
        environment = {**os.environ, "DOCKER_HOST": dockerd}
        return subprocess.run([*program, *words], capture_output=True, env=environment, timeout=60, **options)

    start.run = run
    yield start
    for child in children:
        child.close(force=True)


def _as_at_a_terminal():
    """Whoever runs the tests in the background of a shell has interrupts ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def ended(child):
    child.expect(pexpect.EOF)
    rest = child.before
    child.close()
    return child.exitstatus, rest


def test_a_shell_has_the_terminals_size_and_follows_it(typed):
    child = typed("run", "-it", "--rm", *NONE, "busybox", "sh")
    child.expect(b"/ #")
    child.send(b"stty size\r")
    child.expect(b"33 101")
    child.expect(b"/ #")
    child.setwinsize(20, 77)
    child.send(b"until [ \"$(stty size)\" = '20 77' ]; do :; done; echo now\r")
    child.expect(b"\r\nnow")
    child.expect(b"/ #")
    # What says something runs already: an interrupt that comes before is a character of the shell's line.
    child.send(b"sh -c 'echo asleep$((40+2)); exec sleep 1000'\r")
    child.expect(b"asleep42")
    child.send(b"\x03")
    child.expect(b"/ #")
    child.send(b"exit 5\r")
    assert ended(child)[0] == 5


def test_detaching_leaves_the_container_and_attach_comes_back(typed):
    child = typed("run", "-it", "--name", "px", *NONE, "busybox", "sh")
    child.expect(b"/ #")
    child.send(b"\x10\x11")
    status, rest = ended(child)
    assert (status, b"escape" in rest) == (0, False)
    child = typed("attach", "--detach-keys", "ctrl-a,x", "px")
    child.send(b"\r")
    child.expect(b"/ #")
    child.send(b"\x01x")
    status, rest = ended(child)
    assert (status, rest.endswith(b"read escape sequence\r\n")) == (1, True)
    child = typed("exec", "-it", "px", "sh")
    child.expect(b"/ #")
    child.send(b"exit 9\r")
    assert ended(child)[0] == 9
    assert typed.run("stop", "-t0", "px").stdout == b"px\n"
    child = typed("start", "-ai", "px")
    child.expect(b"/ #")
    child.send(b"exit 4\r")
    assert ended(child)[0] == 4
    assert typed.run("rm", "-f", "px").returncode == 0


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("INT", 2), ("USR1", 10)])
def test_signals_reach_the_process(typed, name, number):
    script = f"trap 'echo got; exit 6' {name}; echo ready; while :; do sleep 0.05; done"
    child = typed("run", "--rm", *NONE, "busybox", "sh", "-c", script)
    child.expect(b"ready")
    child.kill(number)
    status, rest = ended(child)
    assert (status, b"got" in rest) == (6, True)


def test_input_ends_when_it_ends_and_nothing_is_lost(typed):
    payload = os.urandom(5_000_000)
    done = typed.run("run", "-i", "--rm", *NONE, "busybox", "cat", input=payload)
    assert (done.returncode, done.stdout == payload) == (0, True)
    done = typed.run("exec", "-i", "one", "wc", "-c", input=payload)
    assert (done.returncode, done.stdout) == (0, b"5000000\n")


def test_streams_stay_apart_and_the_status_is_the_processs(typed):
    done = typed.run("run", "--rm", *NONE, "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert typed.run("run", "--rm", *NONE, "busybox", "nosuch").returncode == 127
    assert typed.run("run", "--rm", *NONE, "busybox", "/etc").returncode == 126
    assert typed.run("run", "--rm", "--nosuch", "busybox").returncode == 125


def test_following_ends_with_an_interrupt(typed):
    child = typed("logs", "-f", "two")
    child.expect(b"hello")
    child.sendintr()
    assert ended(child)[0] == 130


def test_an_image_goes_out_and_comes_back(typed, tmp_path):
    assert typed.run("save", "-o", str(tmp_path / "i.tar"), "busybox").returncode == 0
    assert typed.run("tag", "busybox", "again:1").returncode == 0
    assert typed.run("rmi", "again:1").stdout == b"Untagged: again:1\n"
    done = typed.run("load", "-i", str(tmp_path / "i.tar"))
    assert (done.returncode, done.stdout) == (0, b"Loaded image: busybox:latest\n")
    done = typed.run("load", input=(tmp_path / "i.tar").read_bytes())
    assert (done.returncode, done.stdout) == (0, b"Loaded image: busybox:latest\n")


def test_the_id_file_is_written_once(typed, tmp_path):
    path = str(tmp_path / "cid")
    done = typed.run("run", "-d", "--cidfile", path, *NONE, "busybox", "true")
    assert (tmp_path / "cid").read_bytes() + b"\n" == done.stdout
    again = typed.run("run", "-d", "--cidfile", path, *NONE, "busybox", "true")
    assert (again.returncode, b"container ID file found" in again.stderr) == (125, True)
    assert typed.run("rm", "-f", done.stdout.decode().strip()).returncode == 0
