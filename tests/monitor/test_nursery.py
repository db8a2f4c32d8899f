"""The nursery: small, in a root of its own, gone with its daemon."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.drivers import nursery as daemons
from wherry.monitor import keeper, wire
from wherry.monitor.nursery import command

# What would make every monitor heavier (or pull in what does).
HEAVY = {
    "asyncio",
    "logging",
    "json",
    "subprocess",
    "tempfile",
    "ssl",
    "aiohttp",
    "dataclasses",
    "inspect",
    "threading",
    "email",
}


def start():
    """A nursery as the keeper starts it: its pid, and our ends of its connection and of its line to the keeper."""
    (ours, theirs), (line, its_line) = wire.pair(), wire.pair()
    with theirs, its_line:
        arguments = command(os.path.realpath(sys.executable), daemons._paths())
        return keeper._spawn_nursery(arguments, theirs.fileno(), 2, line=its_line.fileno()), ours, line


@pytest.fixture
def nursery():
    pid, ours, line = start()
    # It answers only from its own root: a question that it does not understand ends it, so ask for its title.
    while b"wherry-nursery" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        os.sched_yield()
    yield pid
    ours.close()
    line.close()
    os.waitpid(pid, 0)


def test_it_sees_no_mount_of_the_host_but_what_it_needs(nursery):
    lines = Path(f"/proc/{nursery}/mountinfo").read_text().splitlines()
    places = {line.split()[4]: line.split()[5] for line in lines}
    assert {"/", "/proc", "/sys", "/dev"} <= set(places)
    writable = {place for place, options in places.items() if options.startswith("rw")}
    assert all(place.startswith(("/proc", "/sys", "/dev")) for place in writable)
    assert os.listdir(f"/proc/{nursery}/root/") != os.listdir("/")
    assert not os.path.exists(f"/proc/{nursery}/root/root/.ssh")


def test_all_it_runs_from_is_read_only(nursery):
    mapped = {
        line.split(None, 5)[5].strip() for line in Path(f"/proc/{nursery}/maps").read_text().splitlines() if "/" in line
    }
    for path in mapped:
        with pytest.raises(OSError, match=r"Read-only file system|Text file busy"):
            os.close(os.open(f"/proc/{nursery}/root{path}", os.O_RDWR))


def test_it_ends_with_its_daemon():
    pid, ours, line = start()
    ours.close()
    line.close()
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(20_000)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_it_imports_nothing_heavy():
    arguments = command(sys.executable, daemons._paths())
    at = arguments.index("-c") + 1
    arguments[at] = arguments[at].replace(
        "import main; main()", "import main; print(*filter(sys.modules.get, sys.modules))"
    )
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "wherry.monitor.monitor" in done.stdout.split()
    assert not HEAVY & set(done.stdout.split())
