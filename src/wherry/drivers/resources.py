"""What a running container may use and did use: by its cgroup's files, without asking its monitor."""

import os
from collections.abc import Iterator

from wherry.drivers.driver import LinkStats, ProcessGone, Usage
from wherry.libcontainer import cgroups
from wherry.libcontainer.cgroups import stats
from wherry.model.clock import NANOSECONDS, now_ns
from wherry.model.errors import EngineError
from wherry.oci.runtime import Resources

# proc_pid_net(5), dev: receive counts are bytes, packets, errors, dropped and four others; then those of sending.
_SENT_FROM = 8
_COUNTS = 12
_HEADING_LINES = 2
# user, nice, system, idle, iowait, irq, softirq: what dockerd adds up.
_CPU_TIMES = 7
_TICK_NS = NANOSECONDS // os.sysconf("SC_CLK_TCK")
_STAT_BYTES = 1 << 20


def update(container_id: str, cgroups_path: str, pid: int, resources: Resources) -> None:
    """Write new limits. Blocks. Raises ProcessGone, EngineError."""
    try:
        cgroup = cgroups.open_existing(cgroups_path)
    except FileNotFoundError:
        raise ProcessGone(f"container {container_id} is not running") from None
    try:
        cgroup.update(resources)
    except cgroups.CgroupError as error:
        if not os.path.exists(f"/proc/{pid}"):
            # It ended, and its directories are on their way out.
            raise ProcessGone(f"container {container_id} is not running") from None
        raise EngineError(str(error)) from None
    finally:
        cgroup.close()


def usage(container_id: str, cgroups_path: str, pid: int) -> Usage:
    """Read all counts. Blocks. Raises ProcessGone."""
    try:
        cgroup = cgroups.open_existing(cgroups_path)
        try:
            counted = stats.read(cgroup)
        finally:
            cgroup.close()
        spent_ns, cpus = _host_cpu()
        return Usage(read_ns=now_ns(), stats=counted, links=tuple(_links(pid)), host_cpu_ns=spent_ns, host_cpus=cpus)
    except OSError as error:
        # A directory that is removed while its files are open says ENODEV.
        raise ProcessGone(f"container {container_id} is not running: {error}") from None


def _host_cpu() -> tuple[int, int]:
    """Time of all processors in ns, and how many there are: proc_stat(5), the line `cpu` and those of each one."""
    fd = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        lines = file.read(_STAT_BYTES).splitlines()
    spent = sum(int(word) for word in lines[0].split()[1 : 1 + _CPU_TIMES])
    return spent * _TICK_NS, sum(line.startswith(b"cpu") for line in lines) - 1


def _links(pid: int) -> Iterator[LinkStats]:
    fd = os.open(f"/proc/{pid}/net/dev", os.O_RDONLY | os.O_CLOEXEC)
    with open(fd, encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read().splitlines()[_HEADING_LINES:]:
            name, _, counts = line.partition(":")
            yield _link(name.strip(), [int(word) for word in counts.split()])


def _link(name: str, counts: list[int]) -> LinkStats:
    received, sent = counts[:4], counts[_SENT_FROM:_COUNTS]
    return LinkStats(
        name=name,
        rx_bytes=received[0],
        rx_packets=received[1],
        rx_errors=received[2],
        rx_dropped=received[3],
        tx_bytes=sent[0],
        tx_packets=sent[1],
        tx_errors=sent[2],
        tx_dropped=sent[3],
    )
