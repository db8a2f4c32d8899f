"""How this twin waits: the one file of each that is written by hand."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from wherry.client.errors import TimedOut
from wherry.client.http import Connection
from wherry.python.frames import Chunk, Frames

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Do nothing for a while."""
    time.sleep(seconds)


def aside(work: Callable[[], T]) -> T:
    """What a blocking function returns."""
    return work()


def now() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()


def converse(connection: Connection, frames: Frames, *, data: bytes | None, seconds: float | None) -> list[Chunk]:
    """Send `data` and its end, and meanwhile receive all that comes. Raises TimedOut."""
    deadline = None if seconds is None else now() + seconds
    chunks = frames.feed(connection.leftover())
    speaker = threading.Thread(target=_say, args=(connection, data or b""), name="wherry input")
    try:
        if data is not None:
            speaker.start()
        while piece := _receive(connection, deadline):
            chunks += frames.feed(piece)
    except TimeoutError:
        raise TimedOut(f"the command did not end within {seconds} seconds") from None
    finally:
        if data is not None:
            connection.wire.hang_up()
            speaker.join()
    return chunks


def _say(connection: Connection, data: bytes) -> None:
    try:
        connection.wire.sendall(data)
        connection.wire.half_close()
    except OSError:
        pass  # it does not read to the end


def _receive(connection: Connection, deadline: float | None) -> bytes:
    if deadline is not None:
        connection.limit(max(deadline - now(), 0.0))
    try:
        return connection.wire.recv()
    except ConnectionResetError:
        return b""
