"""What a container uses: readings of its counters, and what follows from two of them."""

from datetime import datetime

from msgspec import Struct, field

from wherry.python.records.record import RAW


class CpuUsage(Struct, frozen=True, kw_only=True):
    """Nanoseconds of CPU time since the start."""

    total_usage: int = 0
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0
    percpu_usage: tuple[int, ...] = ()


class Throttling(Struct, frozen=True, kw_only=True):
    """How often a CPU quota held it back; the time in nanoseconds."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(Struct, frozen=True, kw_only=True):
    """`system_cpu_usage` is the whole host's time in nanoseconds."""

    cpu_usage: CpuUsage = CpuUsage()
    system_cpu_usage: int = 0
    online_cpus: int = 0
    throttling_data: Throttling = Throttling()


class MemoryStats(Struct, frozen=True, kw_only=True):
    """Bytes; `stats` are the kernel's own counters, which differ between cgroup v1 and v2."""

    usage: int = 0
    max_usage: int = 0
    limit: int = 0
    failcnt: int = 0
    stats: dict[str, int] = {}


class PidsStats(Struct, frozen=True, kw_only=True):
    """Processes and threads; a limit of 0 is none."""

    current: int = 0
    limit: int = 0


class NetworkStats(Struct, frozen=True, kw_only=True):
    """One interface since the start."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class BlockEntry(Struct, frozen=True, kw_only=True):
    """A counter of one device; `op` is Read, Write and others, in either case."""

    major: int = 0
    minor: int = 0
    op: str = ""
    value: int = 0


class BlockStats(Struct, frozen=True, kw_only=True):
    """Input and output by device."""

    io_service_bytes_recursive: tuple[BlockEntry, ...] = ()
    io_serviced_recursive: tuple[BlockEntry, ...] = ()

    def bytes_of(self, operation: str) -> int:
        """All devices' bytes of `read` or `write`."""
        return sum(entry.value for entry in self.io_service_bytes_recursive if entry.op.lower() == operation)


class Stats(Struct, frozen=True, kw_only=True):
    """One reading; `precpu_stats` is the one before, for what is a rate."""

    id: str = ""
    slashed_name: str = field(name="name", default="")
    read: datetime | None = None
    preread: datetime | None = None
    cpu_stats: CpuStats = CpuStats()
    precpu_stats: CpuStats = CpuStats()
    memory_stats: MemoryStats = MemoryStats()
    pids_stats: PidsStats = PidsStats()
    networks: dict[str, NetworkStats] = {}
    blkio_stats: BlockStats = BlockStats()
    raw: dict[str, object] = field(name=RAW, default_factory=dict)

    @property
    def name(self) -> str:
        """The container's name, without the slash that the API puts before it."""
        return self.slashed_name.removeprefix("/")

    @property
    def cpu_percent(self) -> float:
        """Per cent of one CPU since the reading before, as `docker stats` counts: two busy CPUs are 200; 0 for none."""
        if self.preread is None:
            return 0.0
        now, before = self.cpu_stats, self.precpu_stats
        used = now.cpu_usage.total_usage - before.cpu_usage.total_usage
        whole = now.system_cpu_usage - before.system_cpu_usage
        cpus = now.online_cpus or len(now.cpu_usage.percpu_usage)
        return used / whole * cpus * 100 if used > 0 and whole > 0 else 0.0

    @property
    def memory_used(self) -> int:
        """Bytes without the page cache that can be dropped at once, as `docker stats` counts them."""
        usage, counters = self.memory_stats.usage, self.memory_stats.stats
        cache = counters.get("total_inactive_file", counters.get("inactive_file", 0))
        return usage - cache if cache < usage else usage

    @property
    def memory_percent(self) -> float:
        """Of its limit; 0 when there is none."""
        limit = self.memory_stats.limit
        return self.memory_used / limit * 100 if limit else 0.0

    @property
    def network_received(self) -> int:
        """Bytes that came in by all interfaces."""
        return sum(interface.rx_bytes for interface in self.networks.values())

    @property
    def network_sent(self) -> int:
        """Bytes that went out by all interfaces."""
        return sum(interface.tx_bytes for interface in self.networks.values())
