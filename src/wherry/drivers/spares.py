"""Monitors that wait for a container: made after a start, because another is likely to follow, and gone when none does.

A start that finds none has one forked, and it is the same from there on.
"""

import asyncio
import contextlib
import logging
import socket

from msgspec import Struct

from wherry.drivers.nursery import Nursery, NurseryFailed
from wherry.monitor import messages, wire

_LOG = logging.getLogger(__name__)
SPARES = 2
"""Each costs some 10 MB while it waits, most of it the pages that its midwife has copied."""
IDLE_SECONDS = 2.0
_REFILL_SECONDS = 0.01
_TRIES = 3


class Spare(Struct):
    """The connections to one that waits, and to its midwife: blocking sockets."""

    monitor: socket.socket
    midwife: socket.socket

    def close(self) -> None:
        """Let it go."""
        self.monitor.close()
        self.midwife.close()


class Spares:
    """Those that wait, in the order of their making."""

    def __init__(self, nursery: Nursery) -> None:
        """Have none."""
        self._nursery = nursery
        self._waiting: list[Spare] = []
        self._filling: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def take(self) -> Spare | None:
        """One that waits, the caller's from now on; None when there is none."""
        while self._waiting:
            spare = self._waiting.pop(0)
            asyncio.get_running_loop().remove_reader(spare.monitor.fileno())
            if _is_alive(spare.monitor) and _is_alive(spare.midwife):
                return spare
            spare.close()
        return None

    async def fork(self) -> Spare:
        """A new one. Raises NurseryFailed."""
        for left in reversed(range(_TRIES)):
            # Fresh pairs each time: those before may have come to a spare whose nursery was killed at once.
            (ours, theirs), (to_midwife, midwife) = wire.pair(), wire.pair()
            spare = Spare(ours, to_midwife)
            with theirs, midwife:
                try:
                    await self._nursery.fork(
                        lambda serial: messages.Spare(serial=serial), (theirs.fileno(), midwife.fileno()), tries=1
                    )
                except NurseryFailed:
                    spare.close()
                    if not left:
                        raise
                except BaseException:
                    spare.close()
                    raise
                else:
                    return spare
        raise AssertionError("the last try returns or raises")

    def expect_more(self) -> None:
        """There was a start: soon there will be spares, and if nothing follows they will go again."""
        self._forget_timers()
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(_REFILL_SECONDS, self._fill), loop.call_later(IDLE_SECONDS, self.drain)]

    def drain(self) -> None:
        """Let all go, also those that are just being made."""
        self._forget_timers()
        if self._filling:
            self._filling.cancel()
        for spare in list(self._waiting):
            self._lose(spare)

    async def close(self) -> None:
        """Let all go; returns when they have."""
        self._forget_timers()
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        loop = asyncio.get_running_loop()
        while (spare := self.take()) is not None:
            spare.midwife.close()
            spare.monitor.setblocking(False)
            with spare.monitor, contextlib.suppress(OSError):
                spare.monitor.shutdown(socket.SHUT_WR)
                await loop.sock_recv(spare.monitor, 1)

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def _fill(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.get_running_loop().create_task(self._make())

    async def _make(self) -> None:
        while len(self._waiting) < SPARES:
            try:
                spare = await self.fork()
            except NurseryFailed as error:
                _LOG.debug("no monitor is made ahead: %s", error)
                return
            self._waiting.append(spare)
            asyncio.get_running_loop().add_reader(spare.monitor.fileno(), self._lose, spare)

    def _lose(self, spare: Spare) -> None:
        """It is not wanted any more; or was killed, or could not get ready."""
        asyncio.get_running_loop().remove_reader(spare.monitor.fileno())
        self._waiting.remove(spare)
        spare.close()


def _is_alive(connection: socket.socket) -> bool:
    """Whether the other end has neither hung up nor complained."""
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
