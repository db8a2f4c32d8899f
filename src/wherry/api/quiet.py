"""Noticing that a burst of requests is over, without a clock that ticks while nothing happens."""

import asyncio
from collections.abc import Callable


class Quiet:
    """Calls `then` once when for `seconds` nobody has touched it any more, and again after the next touch."""

    def __init__(self, then: Callable[[], None], *, seconds: float) -> None:
        """Wait for the first touch."""
        self._then = then
        self._seconds = seconds
        self._touched = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> None:
        """Something has happened."""
        loop = asyncio.get_running_loop()
        self._touched = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def cancel(self) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._touched + self._seconds - loop.time()
        self._timer = loop.call_later(left, self._look) if left > 0 else None
        if self._timer is None:
            self._then()
