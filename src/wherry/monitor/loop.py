"""A loop over epoll(7): descriptors and what to call when they are ready."""

import select
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
QUIET_SECONDS = 1.0

Handler = Callable[[int], None]


class Loop:
    """Calls each descriptor's handler with the events that happened, until `stop`."""

    def __init__(self, on_quiet: Callable[[], None] | None = None) -> None:
        """Watch nothing yet. `on_quiet` is called when something has happened, and then nothing for a second."""
        self._on_quiet = on_quiet
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._events: dict[int, int] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._stopped = False

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Watch a descriptor for these events; GONE always counts too. Watching again changes the events."""
        if fd not in self._handlers:
            self._epoll.register(fd, events)
        elif self._events[fd] != events:
            self._epoll.modify(fd, events)
        self._handlers[fd], self._events[fd] = handler, events

    def forget(self, fd: int) -> None:
        """Watch it no more; call this before the descriptor is closed. Unknown ones are fine."""
        if self._handlers.pop(fd, None):
            del self._events[fd]
            self._epoll.unregister(fd)

    def is_watching(self, fd: int) -> bool:
        """Whether it is watched."""
        return fd in self._handlers

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call that once, after so long."""
        self._timers.append((time.monotonic() + seconds, call))

    def run(self) -> None:
        """Go on until `stop`."""
        was_busy = True
        while not self._stopped:
            happened = self._epoll.poll(self._timeout(was_busy=was_busy))
            if not happened and not self._timers and self._on_quiet:
                self._on_quiet()
            was_busy = bool(happened or self._timers)
            ready = [(fd, events, self._handlers[fd]) for fd, events in happened]
            for fd, events, handler in ready:
                # An earlier handler of this round may have closed it, and its number may be another one's by now.
                if self._handlers.get(fd) == handler:
                    handler(events)
            self._call_due()

    def stop(self) -> None:
        """Leave `run` after this round."""
        self._stopped = True

    def _timeout(self, *, was_busy: bool) -> float | None:
        if self._timers:
            return max(0.0, min(due for due, _ in self._timers) - time.monotonic())
        return QUIET_SECONDS if was_busy and self._on_quiet else None

    def _call_due(self) -> None:
        if not self._timers:
            return
        now = time.monotonic()
        due = [call for moment, call in self._timers if moment <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for call in due:
            call()

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()
