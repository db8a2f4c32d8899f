"""One reader of a container's usage for all who watch it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from wherry.drivers.driver import LinkStats, Usage

PERIOD_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a container used, None while it does not run; `links` are its networks', `memory_bytes` the host's."""

    id: str
    name: str
    usage: Usage | None = None
    links: tuple[LinkStats, ...] = ()
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sample and the one before it, from which rates are computed; None before the first."""

    sample: Sample
    before: Sample | None = None


class Reader:
    """Reads once a second as long as anybody watches. `take` gives None when there is nothing any more."""

    def __init__(self, take: Callable[[], Awaitable[Sample | None]]) -> None:
        """Nobody watches yet."""
        self._take = take
        self._news = asyncio.Condition()
        self._rounds = 0
        self._is_over = False
        self.latest: Sample | None = None
        self.watchers = 0
        self.task: asyncio.Task[None] | None = None

    async def watch(self) -> AsyncGenerator[Pair, None]:
        """Each new sample until there is nothing any more; who is slow misses some."""
        seen, before = self._rounds, self.latest
        while await self._beyond(seen):
            assert self.latest is not None
            seen, sample = self._rounds, self.latest
            yield Pair(sample=sample, before=before)
            before = sample

    async def read(self) -> None:
        """Read on and on; whoever made this runs it as a task."""
        while (sample := await self._take()) is not None:
            async with self._news:
                self.latest = sample
                self._rounds += 1
                self._news.notify_all()
            await asyncio.sleep(PERIOD_SECONDS)
        async with self._news:
            self._is_over = True
            self._news.notify_all()

    async def _beyond(self, seen: int) -> bool:
        """Wait for another sample. False when there will be none."""
        async with self._news:
            await self._news.wait_for(lambda: self._rounds > seen or self._is_over)
        return self._rounds > seen
