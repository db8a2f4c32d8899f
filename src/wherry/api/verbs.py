"""Verbs run to their end, whatever becomes of the client that asked for them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from wherry.model.errors import EngineError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Verbs:
    """The running verbs of one server, all in its task group."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        """Verbs become tasks of this group; none of them ever fails in it."""
        self._group = group
        self._running: set[asyncio.Task[None]] = set()
        self._callers: set[asyncio.Task[Any] | None] = set()

    async def run(self, verb: Coroutine[Any, Any, T]) -> T:
        """Run a verb and give its result. A caller that is cancelled leaves it running."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = self._group.create_task(_settle(verb, outcome))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        caller = asyncio.current_task()
        self._callers.add(caller)
        try:
            return await outcome
        finally:
            self._callers.discard(caller)

    def is_awaited_by(self, task: asyncio.Task[Any]) -> bool:
        """Whether that task waits for a verb's result."""
        return task in self._callers

    async def finish(self, seconds: float) -> None:
        """Wait that long for the running verbs; cancel those that are not done then."""
        if not self._running:
            return
        _, pending = await asyncio.wait(self._running, timeout=seconds)
        for task in pending:
            task.cancel()


async def _settle(verb: Coroutine[Any, Any, T], outcome: asyncio.Future[T]) -> None:
    try:
        result = await verb
    except asyncio.CancelledError:
        outcome.cancel()
        raise
    except Exception as error:
        if not outcome.done():
            outcome.set_exception(error)
        elif isinstance(error, EngineError):
            log.warning("A request failed after its client had gone: %s", error)
        else:
            log.exception("A request failed after its client had gone")
    else:
        if not outcome.done():
            outcome.set_result(result)
