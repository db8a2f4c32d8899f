"""Whose a container is: a process of a boot of a host, so that what a killed run left is known for it."""

import os
from contextlib import suppress
from pathlib import Path

import wherry

OWNER_LABEL = "org.wherry.pytest.owner"
TEST_LABEL = "org.wherry.pytest.test"


def owner() -> str:
    """This process as `boot:pid:start`."""
    return f"{_boot()}:{os.getpid()}:{_started(os.getpid())}"


def sweep(engine: wherry.Client) -> None:
    """Remove what runs on this host left that were killed. Other hosts' containers are theirs."""
    for found in engine.containers.list(all=True, filters={"label": OWNER_LABEL}):
        if not _lives(found.labels[OWNER_LABEL]):
            with suppress(wherry.ApiError):  # another worker may be at it
                engine.containers.get(found.id).remove(force=True, volumes=True)


def _lives(label: str) -> bool:
    boot, _, process = label.partition(":")
    pid, _, started = process.partition(":")
    return boot != _boot() or _started(int(pid)) == started


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _started(pid: int) -> str:
    """When it began, in ticks since the boot; "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
