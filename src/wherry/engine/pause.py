"""`POST /containers/{id}/pause` and `/unpause`: the freezer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import Process, ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live
from wherry.engine.telling import tell
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError
from wherry.model.health import unwatched
from wherry.model.state import Happening, Status, after


async def pause(engine: Engine, name: str) -> None:
    """Freeze every process of a container. Raises Conflict unless it runs."""
    container = find(engine, name)
    live = engine.live_of(container.id)
    async with live.lock:
        process = _process_to_freeze(engine, container, live)
        await process.pause()
        crash_point("pause.frozen")
        async with _or_else(process.resume):  # what nobody knows to be frozen nobody could thaw
            await _mark(engine, container, Happening.PAUSE)
    tell(engine, container, "pause")


async def unpause(engine: Engine, name: str) -> None:
    """Thaw a container. Raises EngineError unless it is paused."""
    container = find(engine, name)
    live = engine.live_of(container.id)
    async with live.lock:
        current = find(engine, container.id)
        if current.state.status is not Status.PAUSED or live.process is None:
            raise EngineError(f"Container {container.id} is not paused")
        await live.process.resume()
        crash_point("unpause.thawed")
        async with _or_else(live.process.pause):
            await _mark(engine, container, Happening.UNPAUSE)
    tell(engine, container, "unpause")


def _process_to_freeze(engine: Engine, container: Container, live: Live) -> Process:
    current = find(engine, container.id)
    match current.state.status:
        case Status.PAUSED:
            raise Conflict(f"Container {container.id} is already paused")
        case Status.RESTARTING:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        case Status.RUNNING if live.process is not None and live.process is not live.killed:
            return live.process
        case _:
            raise Conflict(f"container {container.id} is not running")


@asynccontextmanager
async def _or_else(undo: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """What cannot be recorded is taken back."""
    try:
        yield
    except BaseException:
        with suppress(ProcessGone):
            await undo()
        raise


async def _mark(engine: Engine, container: Container, happening: Happening) -> None:
    await engine.change(container.id, lambda current: _marked(current, happening))


def _marked(container: Container, happening: Happening) -> Container:
    state = replace(container.state, status=after(container.state.status, happening))
    if happening is Happening.PAUSE:
        state = replace(state, health=unwatched(state.health))
    return replace(container, state=state)
