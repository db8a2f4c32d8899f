"""What a cgroup used so far, as records that mean the same for both versions.

The package does not import this file: monitors limit containers, but only the daemon counts.
"""

import errno
import os
from dataclasses import dataclass

from wherry.libcontainer.cgroups.cgroup import Cgroup
from wherry.libcontainer.cgroups.errors import CgroupError
from wherry.linux.cgroup import parse_keyed

UNLIMITED = None

# v1 says "no limit" by the highest number of whole pages.
_V1_UNLIMITED_FROM = 1 << 62
_NANOSECONDS = 1_000_000_000
_MICRO = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuStats:
    """Times in nanoseconds since the cgroup was made; `per_cpu_ns` is empty where it is not counted (v2)."""

    usage_ns: int
    user_ns: int
    system_ns: int
    per_cpu_ns: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """Bytes; `limit_bytes` None is unlimited, `peak_bytes` None unknown. `details` is the kernel's memory.stat.

    `limit_hits` counts what was refused on v1, and the times memory ran out on v2.
    """

    usage_bytes: int
    peak_bytes: int | None
    limit_bytes: int | None
    limit_hits: int
    details: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PidsStats:
    """Tasks; `limit` None is unlimited."""

    current: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IoStats:
    """One count of one block device; `operation` is the kernel's word on v1, such as `Total`; `read`, `write` on v2."""

    major: int
    minor: int
    operation: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """All of it; None where the host lacks the controller. `version` is the cgroup's: what is counted differs."""

    version: int
    cpu: CpuStats | None
    memory: MemoryStats | None
    pids: PidsStats | None
    io_bytes: tuple[IoStats, ...]
    io_operations: tuple[IoStats, ...]


def read(cgroup: Cgroup) -> Stats:
    """Read everything now. Raises CgroupError when the cgroup is gone."""
    first = cgroup.version == 1
    has = cgroup.directories
    io_bytes, io_operations = _io_v1(cgroup) if "blkio" in has else _io_v2(cgroup) if "io" in has else ((), ())
    return Stats(
        version=cgroup.version,
        cpu=_cpu_v1(cgroup) if first and "cpuacct" in has else None if first else _cpu_v2(cgroup),
        memory=(_memory_v1 if first else _memory_v2)(cgroup) if "memory" in has else None,
        pids=_pids(cgroup) if "pids" in has else None,
        io_bytes=io_bytes,
        io_operations=io_operations,
    )


def _cpu_v1(cgroup: Cgroup) -> CpuStats:
    times = parse_keyed(cgroup.read("cpuacct", "cpuacct.stat"))
    tick_ns = _NANOSECONDS // os.sysconf("SC_CLK_TCK")
    throttling = parse_keyed(cgroup.read("cpu", "cpu.stat")) if "cpu" in cgroup.directories else {}
    return CpuStats(
        usage_ns=int(cgroup.read("cpuacct", "cpuacct.usage")),
        user_ns=times.get("user", 0) * tick_ns,
        system_ns=times.get("system", 0) * tick_ns,
        per_cpu_ns=tuple(map(int, cgroup.read("cpuacct", "cpuacct.usage_percpu").split())),
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
    )


def _cpu_v2(cgroup: Cgroup) -> CpuStats:
    values = parse_keyed(cgroup.read("", "cpu.stat"))
    return CpuStats(
        usage_ns=values.get("usage_usec", 0) * _MICRO,
        user_ns=values.get("user_usec", 0) * _MICRO,
        system_ns=values.get("system_usec", 0) * _MICRO,
        periods=values.get("nr_periods", 0),
        throttled_periods=values.get("nr_throttled", 0),
        throttled_ns=values.get("throttled_usec", 0) * _MICRO,
    )


def _memory_v1(cgroup: Cgroup) -> MemoryStats:
    limit = int(cgroup.read("memory", "memory.limit_in_bytes"))
    return MemoryStats(
        usage_bytes=int(cgroup.read("memory", "memory.usage_in_bytes")),
        peak_bytes=int(cgroup.read("memory", "memory.max_usage_in_bytes")),
        limit_bytes=UNLIMITED if limit >= _V1_UNLIMITED_FROM else limit,
        limit_hits=int(cgroup.read("memory", "memory.failcnt")),
        details=parse_keyed(cgroup.read("memory", "memory.stat")),
    )


def _memory_v2(cgroup: Cgroup) -> MemoryStats:
    try:
        peak: int | None = int(cgroup.read("memory", "memory.peak"))
    except CgroupError:  # Linux before 5.19
        peak = None
    return MemoryStats(
        usage_bytes=int(cgroup.read("memory", "memory.current")),
        peak_bytes=peak,
        limit_bytes=_limit(cgroup.read("memory", "memory.max")),
        limit_hits=parse_keyed(cgroup.read("memory", "memory.events")).get("oom", 0),
        details=parse_keyed(cgroup.read("memory", "memory.stat")),
    )


def _pids(cgroup: Cgroup) -> PidsStats:
    return PidsStats(
        current=int(cgroup.read("pids", "pids.current")),
        limit=_limit(cgroup.read("pids", "pids.max")),
    )


def _limit(text: str) -> int | None:
    return UNLIMITED if text.strip() == "max" else int(text)


def _io_v1(cgroup: Cgroup) -> tuple[tuple[IoStats, ...], tuple[IoStats, ...]]:
    """The scheduler's own counts where a device has them, else those of throttling, as containerd reads them."""
    found = []
    for name in ("io_service_bytes_recursive", "io_serviced_recursive"):
        counts = _counts_v1(cgroup, f"blkio.bfq.{name}") or _counts_v1(cgroup, f"blkio.throttle.{name}")
        found.append(counts)
    return found[0], found[1]


def _counts_v1(cgroup: Cgroup, file: str) -> tuple[IoStats, ...]:
    try:
        lines = cgroup.read("blkio", file).splitlines()
    except CgroupError as error:
        if error.errno != errno.ENOENT:
            raise
        return ()  # a kernel without that scheduler
    words = (line.split() for line in lines)
    return tuple(_io(each[0], each[1], int(each[2])) for each in words if len(each) == 3 and ":" in each[0])


def _io_v2(cgroup: Cgroup) -> tuple[tuple[IoStats, ...], tuple[IoStats, ...]]:
    in_bytes, operations = {"rbytes": "read", "wbytes": "write"}, {"rios": "read", "wios": "write"}
    sizes, counts = [], []
    for line in cgroup.read("io", "io.stat").splitlines():
        device, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if ":" in device:
            sizes += [_io(device, word, int(values[key])) for key, word in in_bytes.items() if key in values]
            counts += [_io(device, word, int(values[key])) for key, word in operations.items() if key in values]
    return tuple(sizes), tuple(counts)


def _io(device: str, operation: str, value: int) -> IoStats:
    major, _, minor = device.partition(":")
    return IoStats(major=int(major), minor=int(minor), operation=operation, value=value)
