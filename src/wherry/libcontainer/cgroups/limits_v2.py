"""Resources as the files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst, runtime-spec config-linux.md)."""

import math
from collections.abc import Iterator

from wherry.libcontainer.cgroups.errors import LimitError
from wherry.libcontainer.cgroups.limits import Write, Writes
from wherry.oci.runtime import BlockIo, Cpu, Memory, Resources, ThrottleDevice

MAX = "max"

_SHARES_MIN, _SHARES_MAX = 2, 262144
_WEIGHT_MIN, _WEIGHT_MAX = 1, 10000


def as_v2(resources: Resources) -> Writes:
    """The writes that limit a v2 cgroup; devices are not among them. Raises LimitError for what v2 cannot do."""
    return tuple(_all(resources))


def cpu_weight(shares: int) -> int:
    """cpu.weight for v1 shares, so that 2, 1024 and 262144 become 1, 100 and 10000; 0 stays 0, not said.

    The curve is runc's (since 1.3.2): quadratic in the logarithm, because a straight line would give the default
    of 1024 shares a weight of 39 where everybody else has 100.
    """
    if shares == 0:
        return 0
    if shares <= _SHARES_MIN:
        return _WEIGHT_MIN
    if shares >= _SHARES_MAX:
        return _WEIGHT_MAX
    logarithm = math.log2(shares)
    exponent = (logarithm * logarithm + 125 * logarithm) / 612.0 - 7.0 / 34.0
    return math.ceil(10**exponent)


def io_weight(blkio_weight: int) -> int:
    """io.weight (1 to 10000) for a v1 weight (10 to 1000); 0 stays 0, not said."""
    return 0 if blkio_weight == 0 else 1 + (blkio_weight - 10) * 9999 // 990


def swap_alone(memory: Memory) -> int | None:
    """memory.swap.max for a limit of memory plus swap: -1 unlimited, None not said. Raises LimitError."""
    limit, both = memory.limit or 0, memory.swap or 0
    if limit == -1 and both == 0:
        return -1
    if both in (0, -1):
        return both or None
    if limit <= 0:
        raise LimitError("unable to set swap limit without memory limit")
    if both < limit:
        raise LimitError("memory+swap limit should be >= memory limit")
    return both - limit


def _all(resources: Resources) -> Iterator[Write]:
    if resources.network is not None and (resources.network.class_id or resources.network.priorities):
        raise LimitError("network classes and priorities need cgroup v1, this host has v2")
    if resources.cpu is not None:
        yield from _cpu(resources.cpu)
    if resources.memory is not None:
        yield from _memory(resources.memory)
    if resources.pids is not None:
        limit = resources.pids.limit
        yield Write("pids", "pids.max", str(limit) if limit > 0 else MAX)
    if resources.block_io is not None:
        yield from _io(resources.block_io)
    for huge in resources.hugepage_limits:
        yield Write("hugetlb", f"hugetlb.{huge.page_size}.max", str(huge.limit))
        # Reservations are counted apart since Linux 5.7; before, there was nothing to limit.
        yield Write("hugetlb", f"hugetlb.{huge.page_size}.rsvd.max", str(huge.limit), optional=True)
    for device, rdma in (resources.rdma or {}).items():
        yield Write("rdma", "rdma.max", rdma.as_text(device))
    yield from _unified(resources.unified or {})


def _cpu(cpu: Cpu) -> Iterator[Write]:
    if cpu.realtime_runtime or cpu.realtime_period:
        raise LimitError("realtime cpu limits need cgroup v1, this host has v2")
    if cpu.cpus:
        yield Write("cpuset", "cpuset.cpus", cpu.cpus)
    if cpu.mems:
        yield Write("cpuset", "cpuset.mems", cpu.mems)
    if cpu.idle is not None:
        yield Write("cpu", "cpu.idle", str(cpu.idle))
    # An idle cgroup has a fixed weight; writing one is EINVAL.
    if cpu.shares and not cpu.idle:
        yield Write("cpu", "cpu.weight", str(cpu_weight(cpu.shares)))
    if cpu.quota or cpu.period:
        quota = str(cpu.quota) if cpu.quota is not None and cpu.quota > 0 else MAX
        yield Write("cpu", "cpu.max", f"{quota} {cpu.period}" if cpu.period else quota)
    if cpu.burst is not None:
        yield Write("cpu", "cpu.max.burst", str(cpu.burst))


def _memory(memory: Memory) -> Iterator[Write]:
    _refuse_v1_memory(memory)
    swap = swap_alone(memory)
    if swap is not None:
        # A kernel without swap has no such file, and does what 0 and max say anyway.
        yield Write("memory", "memory.swap.max", _bytes(swap), optional=swap <= 0)
    if memory.limit:
        yield Write("memory", "memory.max", _bytes(memory.limit))
    if memory.reservation:
        yield Write("memory", "memory.low", _bytes(memory.reservation))


def _refuse_v1_memory(memory: Memory) -> None:
    if memory.kernel:
        raise LimitError("kernel memory limits are not supported: the kernel has none of their own any more")
    if memory.kernel_tcp:
        raise LimitError("limits of kernel TCP memory need cgroup v1, this host has v2")
    if memory.swappiness not in (None, -1, 2**64 - 1):
        raise LimitError("memory swappiness needs cgroup v1, this host has v2")
    if memory.disable_oom_killer:
        raise LimitError("the OOM killer cannot be disabled on cgroup v2")


def _io(io: BlockIo) -> Iterator[Write]:
    if io.leaf_weight or any(device.leaf_weight for device in io.weight_device):
        raise LimitError("leaf weights of block devices need cgroup v1, this host has v2")
    if io.weight:
        plain = Write("io", "io.weight", str(io_weight(io.weight)))
        yield Write("io", "io.bfq.weight", str(io.weight), instead=plain)
    for device in io.weight_device:
        if device.weight:
            place = f"{device.major}:{device.minor}"
            plain = Write("io", "io.weight", f"{place} {io_weight(device.weight)}")
            yield Write("io", "io.bfq.weight", f"{place} {device.weight}", instead=plain)
    yield from _throttles("rbps", io.throttle_read_bps_device)
    yield from _throttles("wbps", io.throttle_write_bps_device)
    yield from _throttles("riops", io.throttle_read_iops_device)
    yield from _throttles("wiops", io.throttle_write_iops_device)


def _throttles(key: str, devices: tuple[ThrottleDevice, ...]) -> Iterator[Write]:
    for device in devices:
        yield Write("io", "io.max", f"{device.major}:{device.minor} {key}={device.rate or MAX}")


def _unified(files: dict[str, str]) -> Iterator[Write]:
    for name, text in files.items():
        if "/" in name or name in (".", ".."):
            raise LimitError(f'unified resource "{name}" must be a file name (no slashes)')
        controller, _, _ = name.partition(".")
        # The kernel reads one line at a time from files such as io.max.
        for line in text.splitlines() or [""]:
            yield Write(controller, name, line)


def _bytes(number: int) -> str:
    return MAX if number == -1 else str(number)
