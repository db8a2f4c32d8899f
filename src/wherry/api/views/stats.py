"""`GET /containers/{id}/stats` on the wire: other counts on cgroup v1 than on v2, as dockerd has them."""

import dataclasses
from typing import Any

from wherry.drivers.driver import CpuStats, IoStats, LinkStats, MemoryStats, PidsStats, Usage
from wherry.engine.usage import Pair, Sample
from wherry.model.clock import ZERO_TIME, rfc3339

# Of memory.stat, what containerd counts; the kernel has more of it in each version (moby daemon/stats_unix.go).
_KEYS_V1 = (
    "active_anon", "active_file", "cache", "dirty", "hierarchical_memory_limit", "hierarchical_memsw_limit",
    "inactive_anon", "inactive_file", "mapped_file", "pgfault", "pgmajfault", "pgpgin", "pgpgout", "rss", "rss_huge",
    "total_active_anon", "total_active_file", "total_cache", "total_dirty", "total_inactive_anon",
    "total_inactive_file", "total_mapped_file", "total_pgfault", "total_pgmajfault", "total_pgpgin", "total_pgpgout",
    "total_rss", "total_rss_huge", "total_unevictable", "total_writeback", "unevictable", "writeback",
)  # fmt: skip
_KEYS_V2 = (
    "active_anon", "active_file", "anon", "anon_thp", "file", "file_dirty", "file_mapped", "file_writeback",
    "inactive_anon", "inactive_file", "kernel_stack", "pgactivate", "pgdeactivate", "pgfault", "pglazyfree",
    "pglazyfreed", "pgmajfault", "pgrefill", "pgscan", "pgsteal", "shmem", "slab", "slab_reclaimable",
    "slab_unreclaimable", "sock", "thp_collapse_alloc", "thp_fault_alloc", "unevictable", "workingset_activate",
    "workingset_nodereclaim", "workingset_refault",
)  # fmt: skip
_BLKIO_LISTS = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip
# What Go has for a limit that is none.
_UNLIMITED = 2**64 - 1


def stats_view(pair: Pair) -> dict[str, Any]:
    """One sample with the processor's times of the one before."""
    sample, before = pair.sample, pair.before.usage if pair.before is not None else None
    usage = sample.usage
    return {
        "name": f"/{sample.name}",
        "id": sample.id,
        **({"networks": {link.name: _link(link) for link in sample.links}} if sample.links else {}),
        "read": rfc3339(usage.read_ns) if usage else ZERO_TIME,
        "preread": rfc3339(before.read_ns) if before else ZERO_TIME,
        "pids_stats": _pids(usage.stats.pids, version=usage.stats.version) if usage and usage.stats.pids else {},
        "blkio_stats": _blkio(usage),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(usage),
        "precpu_stats": _cpu(before),
        "memory_stats": _memory(sample, usage) if usage and usage.stats.memory else {},
    }


def _link(link: LinkStats) -> dict[str, int]:
    counts = dataclasses.asdict(link)
    del counts["name"]
    return counts


def _pids(pids: PidsStats, *, version: int) -> dict[str, int]:
    limit = pids.limit if pids.limit is not None else _UNLIMITED if version == 2 else 0
    wire = {"current": pids.current, "limit": limit}
    return {name: count for name, count in wire.items() if count}


def _blkio(usage: Usage | None) -> dict[str, list[dict[str, Any]] | None]:
    lists: dict[str, list[dict[str, Any]] | None] = dict.fromkeys(_BLKIO_LISTS)
    if usage is None:
        return lists
    stats = usage.stats
    if stats.version == 1:
        lists = {name: [] for name in _BLKIO_LISTS}
        lists["io_serviced_recursive"] = [_io(count) for count in stats.io_operations]
    lists["io_service_bytes_recursive"] = [_io(count) for count in stats.io_bytes] or (
        [] if stats.version == 1 else None
    )
    return lists


def _io(count: IoStats) -> dict[str, Any]:
    return {"major": count.major, "minor": count.minor, "op": count.operation, "value": count.value}


def _cpu(usage: Usage | None) -> dict[str, Any]:
    cpu = (usage.stats.cpu if usage else None) or CpuStats(usage_ns=0, user_ns=0, system_ns=0)
    return {
        "cpu_usage": {
            "total_usage": cpu.usage_ns,
            **({"percpu_usage": list(cpu.per_cpu_ns)} if cpu.per_cpu_ns else {}),
            "usage_in_kernelmode": cpu.system_ns,
            "usage_in_usermode": cpu.user_ns,
        },
        **({"system_cpu_usage": usage.host_cpu_ns, "online_cpus": usage.host_cpus} if usage else {}),
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled_ns,
        },
    }


def _memory(sample: Sample, usage: Usage) -> dict[str, Any]:
    memory, version = usage.stats.memory, usage.stats.version
    assert memory is not None
    limit = sample.memory_bytes if memory.limit_bytes is None else min(memory.limit_bytes, sample.memory_bytes)
    wire = {
        "usage": memory.usage_bytes,
        "max_usage": memory.peak_bytes if version == 1 else 0,
        "stats": _details(memory, version=version),
        "failcnt": memory.limit_hits,
        "limit": limit,
    }
    return {name: value for name, value in wire.items() if value}


def _details(memory: MemoryStats, *, version: int) -> dict[str, int]:
    return {name: memory.details.get(name, 0) for name in (_KEYS_V1 if version == 1 else _KEYS_V2)}
