"""`GET /containers/{id}/top`: the host's ps(1), filtered by the container's pids (moby `daemon/top_unix.go`)."""

import asyncio
import shlex
from dataclasses import dataclass

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.model.errors import Conflict, EngineError, InvalidParameter
from wherry.model.state import Status

DEFAULT_ARGUMENTS = "-ef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """ps's headings and one row for each process."""

    titles: list[str]
    processes: list[list[str]]


async def top(engine: Engine, name: str, *, ps_args: str = "") -> Top:
    """What ps says of a running container's processes. Raises NotFound, Conflict, InvalidParameter."""
    container = find(engine, name)
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")
    if not container.state.is_alive:
        raise Conflict(f"container {container.id} is not running")
    process = engine.live_of(container.id).process
    pids = set(await process.pids()) if process is not None else set()
    return _parse(await _run_ps(ps_args or DEFAULT_ARGUMENTS), pids)


async def _run_ps(ps_args: str) -> list[str]:
    try:
        arguments = shlex.split(ps_args)
    except ValueError as error:
        raise InvalidParameter(f"ps arguments: {error}") from None
    try:
        ps = await asyncio.create_subprocess_exec(
            "ps", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise EngineError("ps: the program is not installed (package procps)") from None
    output, complaint = await ps.communicate()
    if ps.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or [f"exit status {ps.returncode}"]
        raise InvalidParameter(f"ps: {lines[0]}")
    return output.decode(errors="replace").splitlines()


def _parse(lines: list[str], pids: set[int]) -> Top:
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidParameter("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    return Top(titles=titles, processes=[row for row in rows if _pid(row, column) in pids])


def _pid(row: list[str], column: int) -> int:
    return int(row[column]) if len(row) > column and row[column].isdecimal() else -1
