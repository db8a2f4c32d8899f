"""Who has nothing to do sleeps: no clock ticks in any process of an engine whose containers are quiet."""

import time
from pathlib import Path

WINDOW_SECONDS = 2.5
WINDOWS_MAX = 6  # what a test before has left to be done is done by then


def switches():
    """How often each thread of Wherry's was scheduled (proc_pid_status(5))."""
    found = {}
    for task in Path("/proc").glob("[0-9]*/task/*"):
        try:
            if (task / "comm").read_text().startswith("wherry"):
                lines = (task / "status").read_text().splitlines()
                found[task] = [int(line.split()[1]) for line in lines if "voluntary_ctxt_switches" in line]
        except OSError:
            continue  # it has ended
    return found


def test_an_idle_engine_with_a_container_is_not_scheduled_at_all(daemon):
    daemon.docker("run", "-d", "busybox", "sh", "-c", "echo hello; exec sleep 1000")
    daemon.docker("ps")
    before = switches()
    assert len(before) >= 4
    for _ in range(WINDOWS_MAX):
        time.sleep(WINDOW_SECONDS)
        after = switches()
        if after == before:
            return
        before = after
    raise AssertionError("something ticks")
