"""`GET /containers/{id}/top`: the host's ps(1), filtered by the container's pids (moby `daemon/top_unix.go`)."""

import asyncio
import re
from dataclasses import dataclass

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.model.errors import Conflict, EngineError, InvalidParameter
from wherry.model.state import Status

DEFAULT_ARGUMENTS = "-ef"
_PID_RENAMED = re.compile(r"\s+(\S*)=\s*(PID\S*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """ps's headings and one row for each process."""

    titles: list[str]
    processes: list[list[str]]


async def top(engine: Engine, name: str, *, ps_args: str = "") -> Top:
    """What ps says of a running container's processes.

    Raises NotFound, Conflict, InvalidParameter, and EngineError in ps's own words.
    """
    _refuse_other_headings(ps_args)
    container = find(engine, name)
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if not container.state.is_alive:
        raise Conflict(f"container {container.id} is not running")
    process = engine.live_of(container.id).process
    pids = set(await process.pids()) if process is not None else set()
    found = _parse(await _run_ps((ps_args or DEFAULT_ARGUMENTS).split(), pids), pids)
    tell(engine, container, "top")
    return found


def _refuse_other_headings(ps_args: str) -> None:
    """The processes are known by the column PID."""
    for option in _PID_RENAMED.finditer(ps_args):
        column, heading = option.groups()
        if column != "pid":
            raise InvalidParameter(f'specifying "{column}={heading}" is not allowed')


async def _run_ps(arguments: list[str], pids: set[int]) -> list[str]:
    """Asked for the container's processes only, and for all where its options do not go with that, such as `f`."""
    status, output, _ = await _ps([*arguments, "-q" + ",".join(map(str, sorted(pids)))]) if pids else (1, "", "")
    if status:
        status, output, complaint = await _ps(arguments)
        if status:
            lines = complaint.splitlines()
            raise EngineError(lines[0] if lines and lines[0] else f"ps: exit status {status}")
    return output.splitlines()


async def _ps(arguments: list[str]) -> tuple[int, str, str]:
    """Its exit status, output and error output. Raises EngineError where there is none."""
    try:
        ps = await asyncio.create_subprocess_exec(
            "ps", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise EngineError('ps: exec: "ps": executable file not found in $PATH (package procps)') from None
    output, complaint = await ps.communicate()
    return ps.returncode or 0, output.decode(errors="replace"), complaint.decode(errors="replace")


def _parse(lines: list[str], pids: set[int]) -> Top:
    """The rows of those pids; `-` in place of one are threads of the row before (option `m`)."""
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise EngineError("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows: list[list[str]] = []
    is_ours = False
    for line in lines[1:]:
        row = line.split(None, len(titles) - 1)
        if len(row) <= column:
            continue
        if row[column] != "-":
            is_ours = row[column].isdecimal() and int(row[column]) in pids
        if is_ours:
            rows.append(row)
    return Top(titles=titles, processes=rows)
