"""Nobody talks to a daemon that is on its way out."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wherry.client.address import parse
from wherry.client.dial import dial
from wherry.client.errors import Unreachable

FREEZER = Path("/sys/fs/cgroup/freezer")
LISTEN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listener(tmp_path):
    """A process that listens, and the address."""
    command = [sys.executable, "-c", LISTEN, tmp_path / "s"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process, parse(f"unix://{tmp_path}/s")
        process.kill()


@pytest.fixture
def frozen(listener):
    """A cgroup in which it is, and in which no process can end."""
    if not FREEZER.is_dir():
        pytest.skip("cgroup v2 lets a frozen process be killed")
    group = FREEZER / f"doomed-{os.getpid()}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(listener[0].pid))
    (group / "freezer.state").write_text("FROZEN")
    yield group
    (group / "freezer.state").write_text("THAWED")
    listener[0].kill()
    listener[0].wait()
    group.rmdir()


def test_one_that_is_alive_or_stopped_is_talked_to(listener):
    process, address = listener
    dial(address).close()
    process.send_signal(signal.SIGSTOP)
    dial(address).close()


HAND_ON = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
if os.fork():
    os._exit(0)
print(flush=True)
sys.stdin.read()
"""


def test_what_a_dead_one_handed_on_is_talked_to(tmp_path):
    command = [sys.executable, "-c", HAND_ON, tmp_path / "s"]
    # Nobody asks for the end of who called listen(2), so the kernel keeps it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as zombie:
        zombie.stdout.readline()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        dial(parse(f"unix://{tmp_path}/s")).close()
        zombie.stdin.close()


def test_the_end_of_one_that_was_killed_is_waited_for(listener, frozen):
    process, address = listener
    dial(address).close()  # frozen alone is not dead
    process.kill()
    found = []

    def try_it():
        with pytest.raises(Unreachable) as error:
            dial(address)
        found.append(error.value)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    (frozen / "freezer.state").write_text("THAWED")
    thread.join()
    assert found[0].absent
