"""Waiting and measuring time, so that a test can do both at once."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What retries and expiry need of time; all in seconds."""

    def monotonic(self) -> float:
        """A time that only grows."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class RealClock:
    """The time of this machine."""

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
