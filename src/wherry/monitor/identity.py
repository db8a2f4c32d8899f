"""Telling a process from a later one that got the same pid."""

import functools
import os


@functools.cache
def boot_id() -> str:
    """This boot's own name."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def start_ticks(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when it is gone."""
    stat = _stat(pid)
    return int(stat[19]) if stat else None


def zombie_status(pid: int, ticks: int) -> int | None:
    """The wait status of a dead process that its parent has not reaped yet; None when it is not such."""
    stat = _stat(pid)
    # proc(5): field 52 is exit_code; field 22 the start.
    return int(stat[49]) if stat and stat[0] == b"Z" and int(stat[19]) == ticks else None


def parent(pid: int) -> int | None:
    """The parent's pid, also of a zombie; None when there is no such process."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def open_process(pid: int, ticks: int, boot: str) -> int | None:
    """A pidfd of the process that was started then; None when it is gone."""
    if boot != boot_id():
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    # The pidfd first: it holds the one that is looked at now, whatever becomes of the number.
    if start_ticks(pid) == ticks:
        return pidfd
    os.close(pidfd)
    return None


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
