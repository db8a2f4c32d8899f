"""What is in use by a verb on its way, so that no other verb removes it; and one writer at a time for each thing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager


class Leases:
    """Counts of holders by digest or chain id. Used from the event loop's thread only."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._held: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}

    @contextmanager
    def hold(self, keys: Iterable[str]) -> Iterator[None]:
        """Keep these from being removed while the context lasts."""
        held = tuple(keys)
        self._held.update(held)
        try:
            yield
        finally:
            self._held.subtract(held)
            self._held += Counter()  # drops what nobody holds any more

    def is_held(self, key: str) -> bool:
        """Whether a verb on its way needs this."""
        return key in self._held

    def held(self) -> frozenset[str]:
        """Everything that verbs on their way need."""
        return frozenset(self._held)

    def is_busy(self, key: str) -> bool:
        """Whether somebody has the turn now, so that `turn` would wait."""
        lock = self._locks.get(key)
        return lock is not None and lock.locked()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """One at a time for each key: the second finds the work of the first done, or goes on with it."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        with self.hold((f"turn {key}",)):
            async with lock:
                yield
        if not self.is_held(f"turn {key}"):
            self._locks.pop(key, None)
