"""`POST /containers/{id}/wait`: three conditions, one answer."""

from collections.abc import Callable
from dataclasses import dataclass

from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live
from wherry.model.errors import InvalidParameter
from wherry.model.state import Status

_CONDITIONS = ("", "not-running", "next-exit", "removed")
_ENDED = (Status.CREATED, Status.EXITED, Status.DEAD, Status.REMOVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitResult:
    """How it ended; `error` says why it never started, if so."""

    exit_code: int
    error: str = ""


class Waiter:
    """A wait whose condition was understood; it counts from its making, so that no end is missed."""

    def __init__(self, engine: Engine, container_id: str, condition: str) -> None:
        """Begin to wait for one of the conditions."""
        self._engine = engine
        self._id = container_id
        self._live = engine.live_of(container_id)
        self._satisfied = self._predicate(condition)

    async def result(self) -> WaitResult:
        """Wait for the condition."""
        async with self._live.changed:
            await self._live.changed.wait_for(self._satisfied)
        container = self._engine.containers.get(self._id)
        if container is not None:
            return WaitResult(exit_code=container.state.exit_code, error=container.state.error)
        return WaitResult(exit_code=self._live.last_exit.code if self._live.last_exit else 0)

    def _predicate(self, condition: str) -> Callable[[], bool]:
        exits = self._live.exits
        match condition:
            case "" | "not-running":
                return lambda: has_ended(self._engine, self._id)
            case "next-exit":
                return lambda: self._live.exits > exits or self._live.removed
            case _:
                return lambda: self._live.removed


def prepare(engine: Engine, name: str, condition: str) -> Waiter:
    """Understand a wait before its answer begins. Raises NotFound, InvalidParameter."""
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    return Waiter(engine, find(engine, name).id, condition)


async def ended(engine: Engine, container_id: str) -> None:
    """Wait until a container neither runs nor waits for a restart."""
    live: Live = engine.live_of(container_id)
    async with live.changed:
        await live.changed.wait_for(lambda: has_ended(engine, container_id))


async def life_ended(engine: Engine, container_id: str) -> None:
    """Wait until a container has ended that runs, whether or not it is started again; one that does not run has."""
    live: Live = engine.live_of(container_id)
    exits = live.exits
    async with live.changed:
        await live.changed.wait_for(lambda: live.exits > exits or not _is_alive(engine, container_id))


async def gone(engine: Engine, container_id: str) -> None:
    """Wait until a container is removed."""
    live = engine.live.get(container_id)
    if live is not None:
        async with live.changed:
            await live.changed.wait_for(lambda: live.removed)


def _is_alive(engine: Engine, container_id: str) -> bool:
    container = engine.containers.get(container_id)
    return container is not None and container.state.is_alive


def has_ended(engine: Engine, container_id: str) -> bool:
    """Whether a container is gone or neither runs nor waits for a restart."""
    container = engine.containers.get(container_id)
    return container is None or container.state.status in _ENDED
