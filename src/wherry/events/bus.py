"""The bus: events go in, each subscriber gets them in order; a bounded history for those who come late."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from wherry.events.journal import Journal
from wherry.model.event import Event

# dockerd remembers 256 and gives a subscriber room for 1024 (moby daemon/events/events.go).
HISTORY_MAX = 1024
WAITING_MAX = 1024

Wanted = Callable[[Event], bool]


class Bus:
    """Publishes events. Used from the event loop's thread only."""

    def __init__(self, journal: Journal | None = None) -> None:
        """A bus that has seen what the journal has, and writes what it sees there; without one it forgets."""
        self._journal = journal
        self._history: deque[Event] = deque(journal.read() if journal else (), maxlen=HISTORY_MAX)
        self._subscribers: set[Subscription] = set()

    @property
    def subscribers(self) -> int:
        """How many listen now, without the daemon itself."""
        return sum(not subscriber.is_own for subscriber in self._subscribers)

    def publish(self, event: Event) -> None:
        """Tell everybody. A subscriber that does not read loses its subscription, never the publisher's time."""
        self._history.append(event)
        if self._journal is not None:
            self._journal.append(event, self._history)
        for subscriber in tuple(self._subscribers):
            subscriber.offer(event)

    def history(self, *, since_ns: int, until_ns: int | None = None) -> list[Event]:
        """What is remembered of a span of time, both ends included, oldest first."""
        return [
            event
            for event in self._history
            if event.time_ns >= since_ns and (until_ns is None or event.time_ns <= until_ns)
        ]

    @contextmanager
    def subscribe(self, wanted: Wanted, *, is_own: bool = False) -> Iterator["Subscription"]:
        """Receive what is published from now on; `is_own`: it is the daemon that listens."""
        subscription = Subscription(wanted, is_own=is_own)
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)


class Subscription:
    """One reader's queue. Iterating ends when the reader was too slow and lost its place."""

    def __init__(self, wanted: Wanted, *, is_own: bool = False) -> None:
        """A queue for the events that `wanted` accepts."""
        self.is_own = is_own
        self._wanted = wanted
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(WAITING_MAX + 1)
        self._lost = False

    def offer(self, event: Event) -> None:
        """Put an event in the queue if it is wanted; a full queue ends the subscription."""
        if self._lost or not self._wanted(event):
            return
        if self._queue.qsize() >= WAITING_MAX:
            self._lost = True
            self._queue.put_nowait(None)
        else:
            self._queue.put_nowait(event)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events in the order of their publication."""
        while (event := await self._queue.get()) is not None:
            yield event
