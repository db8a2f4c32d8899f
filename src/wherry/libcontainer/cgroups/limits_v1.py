"""Resources as the files of cgroup v1 (Documentation/admin-guide/cgroup-v1/, runtime-spec config-linux.md)."""

from collections.abc import Iterator

from wherry.libcontainer.cgroups.errors import LimitError
from wherry.libcontainer.cgroups.limits import Write, Writes
from wherry.oci.runtime import BlockIo, Cpu, Memory, NetworkResources, Resources, ThrottleDevice

SHARES_MIN, SHARES_MAX = 2, 262144
SWAPPINESS_MAX = 100


def as_v1(resources: Resources) -> Writes:
    """The writes that limit a v1 cgroup, in an order that suits a fresh one; devices are not among them.

    Raises LimitError for what v1 cannot do.
    """
    return tuple(_all(resources))


def _all(resources: Resources) -> Iterator[Write]:
    if resources.unified:
        raise LimitError("unified resources need cgroup v2, this host has v1")
    if resources.cpu is not None:
        yield from _cpuset(resources.cpu)
        yield from _cpu(resources.cpu)
    if resources.memory is not None:
        yield from _memory(resources.memory)
    if resources.pids is not None:
        limit = resources.pids.limit
        yield Write("pids", "pids.max", str(limit) if limit > 0 else "max")
    if resources.block_io is not None:
        yield from _blkio(resources.block_io)
    for huge in resources.hugepage_limits:
        yield Write("hugetlb", f"hugetlb.{huge.page_size}.limit_in_bytes", str(huge.limit))
        # Reservations are counted apart since Linux 5.7; before, there was nothing to limit.
        yield Write("hugetlb", f"hugetlb.{huge.page_size}.rsvd.limit_in_bytes", str(huge.limit), optional=True)
    if resources.network is not None:
        yield from _network(resources.network)
    for device, rdma in (resources.rdma or {}).items():
        yield Write("rdma", "rdma.max", rdma.as_text(device))


def _cpuset(cpu: Cpu) -> Iterator[Write]:
    if cpu.cpus:
        yield Write("cpuset", "cpuset.cpus", cpu.cpus)
    if cpu.mems:
        yield Write("cpuset", "cpuset.mems", cpu.mems)


def _cpu(cpu: Cpu) -> Iterator[Write]:
    if cpu.shares:
        # The kernel would round silently; runc reads back and says these words.
        if cpu.shares > SHARES_MAX:
            raise LimitError(f"the maximum allowed cpu-shares is {SHARES_MAX}")
        if cpu.shares < SHARES_MIN:
            raise LimitError(f"the minimum allowed cpu-shares is {SHARES_MIN}")
        yield Write("cpu", "cpu.shares", str(cpu.shares))
    if cpu.idle is not None:
        yield Write("cpu", "cpu.idle", str(cpu.idle))
    if cpu.period:
        yield Write("cpu", "cpu.cfs_period_us", str(cpu.period))
    if cpu.quota:
        yield Write("cpu", "cpu.cfs_quota_us", str(cpu.quota))
    if cpu.burst is not None:
        yield Write("cpu", "cpu.cfs_burst_us", str(cpu.burst))
    if cpu.realtime_period:
        yield Write("cpu", "cpu.rt_period_us", str(cpu.realtime_period))
    if cpu.realtime_runtime:
        yield Write("cpu", "cpu.rt_runtime_us", str(cpu.realtime_runtime))


def _memory(memory: Memory) -> Iterator[Write]:
    if memory.kernel:
        raise LimitError("kernel memory limits are not supported: the kernel has none of their own any more")
    limit, swap = memory.limit, memory.swap
    if limit == -1 and not swap:
        # Memory without a limit under a limit of memory plus swap would be a limit after all.
        swap = -1
    # The kernel rejects memsw < memory: in a fresh cgroup memory comes first. `apply` comes back to a write that
    # was refused, so raising both in a used one works as well.
    if limit:
        yield Write("memory", "memory.limit_in_bytes", str(limit))
    if swap:
        yield Write("memory", "memory.memsw.limit_in_bytes", str(swap))
    if memory.reservation:
        yield Write("memory", "memory.soft_limit_in_bytes", str(memory.reservation))
    if memory.kernel_tcp:
        yield Write("memory", "memory.kmem.tcp.limit_in_bytes", str(memory.kernel_tcp))
    if memory.disable_oom_killer is not None:
        yield Write("memory", "memory.oom_control", str(int(memory.disable_oom_killer)))
    if memory.swappiness is not None and memory.swappiness not in (-1, 2**64 - 1):
        if not 0 <= memory.swappiness <= SWAPPINESS_MAX:
            raise LimitError(f"invalid memory swappiness value: {memory.swappiness} (range is 0-{SWAPPINESS_MAX})")
        yield Write("memory", "memory.swappiness", str(memory.swappiness))


def _blkio(io: BlockIo) -> Iterator[Write]:
    if io.weight:
        bfq = Write("blkio", "blkio.bfq.weight", str(io.weight))
        yield Write("blkio", "blkio.weight", str(io.weight), instead=bfq)
    if io.leaf_weight:
        yield Write("blkio", "blkio.leaf_weight", str(io.leaf_weight))
    for device in io.weight_device:
        place = f"{device.major}:{device.minor}"
        if device.weight:
            bfq = Write("blkio", "blkio.bfq.weight_device", f"{place} {device.weight}")
            yield Write("blkio", "blkio.weight_device", f"{place} {device.weight}", instead=bfq)
        if device.leaf_weight:
            yield Write("blkio", "blkio.leaf_weight_device", f"{place} {device.leaf_weight}")
    yield from _throttles("read_bps", io.throttle_read_bps_device)
    yield from _throttles("write_bps", io.throttle_write_bps_device)
    yield from _throttles("read_iops", io.throttle_read_iops_device)
    yield from _throttles("write_iops", io.throttle_write_iops_device)


def _throttles(what: str, devices: tuple[ThrottleDevice, ...]) -> Iterator[Write]:
    for device in devices:
        yield Write("blkio", f"blkio.throttle.{what}_device", f"{device.major}:{device.minor} {device.rate}")


def _network(network: NetworkResources) -> Iterator[Write]:
    if network.class_id:
        yield Write("net_cls", "net_cls.classid", str(network.class_id))
    for interface in network.priorities:
        yield Write("net_prio", "net_prio.ifpriomap", f"{interface.name} {interface.priority}")
