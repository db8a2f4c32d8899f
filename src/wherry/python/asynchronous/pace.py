"""How this twin waits: the one file of each that is written by hand."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from wherry.client.aio import AsyncConnection
from wherry.client.errors import TimedOut
from wherry.python.frames import Chunk, Frames

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Do nothing for a while."""
    await asyncio.sleep(seconds)


async def aside(work: Callable[[], T]) -> T:
    """What a blocking function returns, run where it holds up nobody."""
    return await asyncio.to_thread(work)


def now() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()


async def converse(
    connection: AsyncConnection, frames: Frames, *, data: bytes | None, seconds: float | None
) -> list[Chunk]:
    """Send `data` and its end, and meanwhile receive all that comes. Raises TimedOut."""
    chunks = frames.feed(connection.leftover())
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
            if data is not None:
                tasks.create_task(_say(connection, data))
            while piece := await _receive(connection):
                chunks += frames.feed(piece)
    except TimeoutError:
        raise TimedOut(f"the command did not end within {seconds} seconds") from None
    return chunks


async def _say(connection: AsyncConnection, data: bytes) -> None:
    try:
        await connection.wire.sendall(data)
        await connection.wire.half_close()
    except ConnectionError:
        pass  # it does not read to the end


async def _receive(connection: AsyncConnection) -> bytes:
    try:
        return await connection.wire.recv()
    except ConnectionResetError:
        return b""
