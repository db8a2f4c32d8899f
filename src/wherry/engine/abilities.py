"""What this host's kernel can limit, as far as requests are checked for it and `info` tells (moby `pkg/sysinfo`)."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
BLOCK_DEVICES = Path("/sys/block")
NUMBER_MAX = 8192
"""The highest number of a processor that is understood, as with dockerd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Each is whether the kernel has it. `cpus` and `memory_nodes` are those that are online."""

    memory: bool = True
    swap: bool = True
    reservation: bool = True
    swappiness: bool = True
    oom_kill_disable: bool = True
    kernel_memory_tcp: bool = True
    shares: bool = True
    quota: bool = True
    realtime: bool = True
    cpusets: bool = True
    pids: bool = True
    io_weight: bool = True
    io_weight_device: bool = True
    io_throttles: bool = True
    cpus: frozenset[int] = frozenset()
    memory_nodes: frozenset[int] = frozenset()


@cache
def abilities() -> Abilities:
    """Of this host; looked up once."""
    found = _v2() if cgroup_version() == 2 else _v1()
    return Abilities(
        **found,
        cpus=frozenset(os.sched_getaffinity(0)),
        memory_nodes=frozenset(parse_numbers(Path("/sys/devices/system/node/online").read_text().strip())),
    )


def cgroup_version() -> int:
    """2 where the unified hierarchy is all there is, otherwise 1."""
    return 2 if (CGROUPS / "cgroup.controllers").exists() else 1


def parse_numbers(text: str) -> set[int]:
    """`0-2,4` as a set. Raises ValueError, and OverflowError for numbers that no machine has."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = _number(first), _number(last if dash else first)
        if high < low:
            raise ValueError(text)
        numbers |= set(range(low, high + 1))
    return numbers


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(text)
    if len(text) > len(str(NUMBER_MAX)) or int(text) > NUMBER_MAX:
        raise OverflowError(text)
    return int(text)


def _v1() -> dict[str, bool]:
    files = {
        "memory": "memory/memory.limit_in_bytes",
        "swap": "memory/memory.memsw.limit_in_bytes",
        "reservation": "memory/memory.soft_limit_in_bytes",
        "swappiness": "memory/memory.swappiness",
        "oom_kill_disable": "memory/memory.oom_control",
        "kernel_memory_tcp": "memory/memory.kmem.tcp.limit_in_bytes",
        "shares": "cpu/cpu.shares",
        "quota": "cpu/cpu.cfs_quota_us",
        "realtime": "cpu/cpu.rt_period_us",
        "cpusets": "cpuset/cpuset.cpus",
        "pids": "pids/cgroup.procs",
        "io_throttles": "blkio/blkio.throttle.read_bps_device",
    }
    found = {name: (CGROUPS / file).exists() for name, file in files.items()}
    # The root has a weight of its own with CFQ only; BFQ's are on the levels below.
    weights = ("blkio/blkio.weight", "blkio/blkio.bfq.io_serviced")
    return {
        **found,
        "io_weight": any((CGROUPS / file).exists() for file in weights),
        "io_weight_device": (CGROUPS / "blkio/blkio.weight_device").exists() or _has_bfq(),
    }


def _has_bfq() -> bool:
    """Whether a device has the scheduler that knows weights of its own."""
    return any("[bfq]" in path.read_text() for path in BLOCK_DEVICES.glob("*/queue/scheduler"))


def _v2() -> dict[str, bool]:
    controllers = (CGROUPS / "cgroup.controllers").read_text().split()
    memory, cpu, io = "memory" in controllers, "cpu" in controllers, "io" in controllers
    return {
        "memory": memory,
        "swap": memory and _has_swap_file(),
        "reservation": memory,
        "swappiness": False,
        "oom_kill_disable": False,
        "kernel_memory_tcp": False,
        "shares": cpu,
        "quota": cpu,
        "realtime": False,
        "cpusets": "cpuset" in controllers,
        "pids": "pids" in controllers,
        "io_weight": io,
        "io_weight_device": io,
        "io_throttles": io,
    }


def _has_swap_file() -> bool:
    """Whether swap is counted. The root has no such file, so the daemon's own cgroup or any other must say it."""
    below = [path for path in CGROUPS.iterdir() if (path / "memory.max").exists()]
    return any((path / "memory.swap.max").exists() for path in below) if below else Path("/proc/swaps").exists()
