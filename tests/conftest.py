"""What all tests share: a look at the machine that must be the same before and after."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SETTLING_SECONDS = 10.0


def _mounts():
    return sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())


def _links():
    """Names of links; of veths, which have random names and wait in pools, only how many there are."""
    names = os.listdir("/sys/class/net")
    veths = [name for name in names if name.startswith("veth")]
    return [*sorted(set(names) - set(veths)), f"{len(veths)} veths"]


def _cgroups():
    """Every container's directory in every hierarchy; the parents that an engine makes once may stay."""
    found = []
    for parent in Path("/sys/fs/cgroup").glob("*/docker"):
        found += [str(path) for path in parent.iterdir() if path.is_dir()]
    unified = Path("/sys/fs/cgroup/docker")
    if unified.is_dir():
        found += [str(path) for path in unified.iterdir() if path.is_dir()]
    return sorted(found)


def _children(pid):
    """Children of a process by command name; a daemon that was started again is still one daemon."""
    return sorted(
        fields[1] for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path)) and fields[2] == str(pid)
    )


def _stat(path):
    try:
        text = path.read_text()
    except OSError:
        return None
    before, _, after = text.rpartition(")")
    pid, _, command = before.partition("(")
    return pid.strip(), command, after.split()[1]


def _monitors():
    """Monitors of Wherry, wherever they hang in the tree of processes."""
    return sorted(
        fields[0]
        for path in Path("/proc").glob("[0-9]*/stat")
        if (fields := _stat(path)) and fields[1].startswith("wherry-mon")
    )


def _rules():
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "counter packets" not in line]


def _loops():
    return sorted(path.name for path in Path("/sys/block").glob("loop*") if (path / "loop/backing_file").exists())


def look_at_machine():
    """Everything that a container engine could leave behind on a host."""
    return {
        "mounts": _mounts(),
        "links": _links(),
        "cgroups": _cgroups(),
        "monitors": _monitors(),
        "children of the tests": _children(os.getpid()),
        "rules": _rules(),
        "loop devices": _loops(),
        "descriptors of the tests": len(os.listdir("/proc/self/fd")),
    }


@pytest.fixture
def leaves_no_trace():
    """Compare the machine before and after a test; what is torn down after the answer gets a moment for it."""
    before = look_at_machine()
    yield
    deadline = time.monotonic() + SETTLING_SECONDS
    while (after := look_at_machine()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    different = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert not different
