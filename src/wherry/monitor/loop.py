"""A loop over epoll(7): descriptors and what to call when they are ready."""

import select
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

    def run(self) -> None:
        """Go on until `stop`."""
        was_busy = True
        while not self._stopped:
            happened = self._epoll.poll(QUIET_SECONDS if was_busy and self._on_quiet else None)
            was_busy = bool(happened)
            if not happened and self._on_quiet:
                self._on_quiet()
            ready = [(fd, events, self._handlers[fd]) for fd, events in happened]
            for fd, events, handler in ready:
                # An earlier handler of this round may have closed it, and its number may be another one's by now.
                if self._handlers.get(fd) == handler:
                    handler(events)

    def stop(self) -> None:
        """Leave `run` after this round."""
        self._stopped = True

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()
