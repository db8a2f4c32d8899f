"""Going on as another process: the memory stays, the old one is gone, the parent has both to reap."""

import signal
import subprocess
import sys

from wherry.linux import namespaces

SCRIPT = """
import ctypes, os, signal, sys
from wherry.linux import namespaces, process, rebirth
big = bytearray(b"before")
pid = os.fork()
if not pid:
    ready = rebirth.Rebirth()
    if {filtered}:
        os.setgid(65534); os.setuid(65534)
    old = os.getpid()
    seen = ready.go_on({flags})
    big += b" and after"
    print(old, seen, os.getpid(), big.decode(), flush=True)
    os._exit(7)
ended = dict(os.waitpid(-1, 0) for _ in range(2))
print(pid, *sorted(f"{{each}}:{{os.waitstatus_to_exitcode(status)}}" for each, status in ended.items()))
"""


def run(flags, *, filtered=False):
    """What the script says: old pid, new pid, new pid as it sees itself, memory; then who ended how."""
    script = SCRIPT.format(flags=flags, filtered=filtered)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    first, second = done.stdout.splitlines()
    old, seen, own, *memory = first.split()
    child, *ended = second.split()
    assert child == old
    assert memory == ["before", "and", "after"]
    assert sorted(ended) == sorted([f"{old}:{-signal.SIGKILL}", f"{seen}:7"])
    return seen, own


def test_it_goes_on_with_its_memory_and_the_old_one_is_dead():
    seen, own = run(0)
    assert seen == own


def test_it_is_the_first_of_a_new_pid_namespace():
    seen, own = run(namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS)
    assert own == "1"
    assert seen != "1"


def test_it_can_when_it_has_no_privileges_left():
    run(0, filtered=True)


def test_what_cannot_be_leaves_it_alive():
    script = (
        "import os\n"
        "from wherry.linux import rebirth\n"
        "ready = rebirth.Rebirth()\n"
        "try:\n"
        "    ready.go_on(cgroup_fd=0)\n"
        "except OSError as error:\n"
        "    print(type(error).__name__, str(error).partition(':')[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["OSError", "[Errno", "9]", "clone", "0x0"]


def test_no_descriptor_of_its_own_is_left():
    script = (
        "import os\n"
        "from wherry.linux import rebirth\n"
        "before = os.listdir('/proc/self/fd')\n"
        "if not os.fork():\n"
        "    rebirth.Rebirth().go_on()\n"
        "    print(len(before) - len(os.listdir('/proc/self/fd')), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait(); os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0"
