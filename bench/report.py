"""What comes out: lines for people while it runs, JSON for programs, a table for docs/benchmarks.md."""

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import wherry
from bench.engines import Engine
from bench.pair import PAUSED, Row
from bench.pairs import every_pair

HEADING = f"{'median of the runs':62}{'wherry':>10}{'dockerd':>10}{'ratio':>8}  goal"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_MET = {True: "met", False: "**missed**", None: ""}


def installed_dockerd() -> str:
    """The distribution's, or nothing."""
    return shutil.which("dockerd") or ""


def line(row: Row) -> str:
    """One row for a terminal."""
    theirs, ratio = _peer(row)
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return f"{row.title:62}{_figure(row.median, row.unit):>10}{theirs:>10}{ratio:>8}  {row.goal} {verdict}".rstrip()


def machine(engines: list[Engine], directory: Path) -> dict[str, str]:
    """What the figures depend on."""
    found = {engine.name: engine.said("version", "--format", "{{.Server.Version}}") for engine in engines}
    found["wherry"] = wherry.__version__  # to clients it names the version of Docker's that it stands for
    return {
        "processors": f"{os.cpu_count()} cores of {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) // 1048576} GiB",
        "kernel": f"Linux {platform.release()}",
        "control groups": f"version {2 if Path('/sys/fs/cgroup/cgroup.controllers').exists() else 1}",
        "file system": _said("findmnt", "-n", "-o", "FSTYPE", "-T", str(directory)),
        "python": platform.python_version(),
        "docker command line": engines[0].said("version", "--format", "{{.Client.Version}}"),
        **found,
    }


def keep(rows: list[Row], machine: dict[str, str], *, json_file: Path | None, page: Path | None) -> None:
    """Write the figures down where that is wanted."""
    kept: dict[str, Any] = {row.name: dataclasses.asdict(row) for row in rows}
    if json_file:
        before = json.loads(json_file.read_text())["rows"] if json_file.exists() else []
        kept = in_order({row["name"]: row for row in before} | kept)
        json_file.write_text(json.dumps({"machine": machine, "rows": list(kept.values())}, indent=1) + "\n")
    if page:
        write_page(page, [Row(**row) for row in kept.values()], machine)


def in_order(rows: dict[str, Any]) -> dict[str, Any]:
    """Rows by name as their pairs stand in the source, whenever they were measured; those of no pair are left out."""
    names = [f"{pair.name}{end}" for pair in every_pair() for end in ("", PAUSED)]
    return {name: rows[name] for name in names if name in rows}


def write_page(page: Path, rows: list[Row], machine: dict[str, str]) -> None:
    """Put machine and table between the page's two marks. Raises ValueError when it has none."""
    text = page.read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: {_BEGIN} … {_END}")
    described = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    page.write_text(f"{before}{_BEGIN}\n{described}\n\n{table(rows)}\n{_END}{after}")


def table(rows: list[Row]) -> str:
    """All rows as Markdown."""
    lines = ["| median of the runs | Wherry | dockerd | ratio | goal | |", "|---|---:|---:|---:|---|---|"]
    for row in rows:
        theirs, ratio = _peer(row)
        title = row.title.replace("|", "\\|")
        cells = (title, _figure(row.median, row.unit), theirs, ratio, row.goal, _MET[row.met])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _peer(row: Row) -> tuple[str, str]:
    peer = row.peer_median
    return ("", "") if peer is None else (_figure(peer, row.unit), f"{peer / row.median:.1f}")


def _figure(value: float, unit: str) -> str:
    if unit == "ms" and value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.1f} {unit}"


def _field(path: str, name: str) -> str:
    for found in Path(path).read_text().splitlines():
        key, _, value = found.partition(":")
        if key.strip() == name:
            return value.strip()
    return "?"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
