"""Columns of `stats`: what a container uses, as docker's formulas make cells of the API's counts."""

from __future__ import annotations

from wherry.cli.human import size, size_binary
from wherry.cli.listing import Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = dict[str, Any]

HEADERS = {
    "Container": "CONTAINER",
    "Name": "NAME",
    "ID": "CONTAINER ID",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
TABLE = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
ID_LETTERS = 12


def usage(*, full: bool) -> Listing:
    """The listing of `stats`: of what the API gives, with the name that was asked for as `container`."""
    columns = {
        "Container": lambda it: it["container"],
        "Name": lambda it: it["name"].removeprefix("/"),
        "ID": lambda it: it["id"] if full else it["id"][:ID_LETTERS],
        "CPUPerc": lambda it: f"{cpu_percent(it):.2f}%",
        "MemUsage": lambda it: f"{size_binary(memory(it))} / {size_binary(it['memory_stats'].get('limit', 0))}",
        "MemPerc": lambda it: f"{_memory_percent(it):.2f}%",
        "NetIO": lambda it: " / ".join(size(_received_or_sent(it, way), 3) for way in ("rx_bytes", "tx_bytes")),
        "BlockIO": lambda it: " / ".join(size(_read_or_written(it, letter), 3) for letter in "rw"),
        "PIDs": lambda it: str(it["pids_stats"].get("current", 0)),
    }
    return Listing(columns, HEADERS, TABLE, quiet="ID", type_name="*container.statsContext")


def cpu_percent(it: Item) -> float:
    """The share of one processor since the sample before: 200 for two busy ones."""
    now, before = it["cpu_stats"], it["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ())
    return spent / passed * cpus * 100 if passed > 0 and spent > 0 else 0.0


def memory(it: Item) -> int:
    """Bytes in use without the cache that the kernel would give up first."""
    used: int = it["memory_stats"].get("usage", 0)
    details = it["memory_stats"].get("stats") or {}
    for name in ("total_inactive_file", "inactive_file"):  # cgroup v1, v2
        if name in details:
            return used - int(details[name]) if details[name] < used else used
    return used


def _memory_percent(it: Item) -> float:
    limit = it["memory_stats"].get("limit", 0)
    return memory(it) / limit * 100 if limit else 0.0


def _received_or_sent(it: Item, way: str) -> int:
    return sum(link[way] for link in (it.get("networks") or {}).values())


def _read_or_written(it: Item, letter: str) -> int:
    counts = it["blkio_stats"].get("io_service_bytes_recursive") or ()
    return sum(count["value"] for count in counts if count["op"][:1].lower() == letter)
