"""Bytes from a client on their way into a worker: as they are, or decompressed, never by a container's program."""

import asyncio
import os
import socket
from contextlib import suppress
from typing import BinaryIO, Protocol

from wherry.engine.aside import aside
from wherry.images.compression import MAGIC_BYTES, Compression, detect, unwrapped
from wherry.model.errors import EngineError
from wherry.storage.visits import Unread, hand_connection, hand_pipe

_PIECE = 1 << 18


class Body(Protocol):
    """What a client sends."""

    async def first(self, size: int) -> bytes:
        """Its first bytes, at least so many unless it has fewer; `pour` writes them too."""

    async def pour(self, out: int) -> None:
        """Write all of it to a pipe or a socket, which becomes non-blocking. Raises EngineError, OSError."""

    def release(self) -> Unread | None:
        """What it comes by, for another process to read all of it from there; None where that cannot be."""


async def feed(control: socket.socket, body: Body) -> None:
    """Have a worker that asks by a socket read a body, decompressed; one that takes no more has its reasons.

    The worker may read on when this returns. Raises EngineError for damaged input, and whatever the body raises.
    """
    compression = detect(await body.first(MAGIC_BYTES))
    unread = body.release() if compression is Compression.NONE else None
    with suppress(BrokenPipeError, ConnectionResetError):
        if unread is not None:
            hand_connection(control, unread)
            return
        with open(hand_pipe(control), "wb", buffering=0) as pipe:
            if compression is Compression.NONE:
                await body.pour(pipe.fileno())
            else:
                await _unwrap(pipe.fileno(), body, compression)


async def _unwrap(out: int, body: Body, compression: Compression) -> None:
    """A thread decompresses in between, so that neither side's pace matters to the loop."""
    ours, theirs = socket.socketpair()
    work = aside(lambda: _decompress(theirs, out, compression))
    try:
        with ours, suppress(BrokenPipeError, ConnectionResetError):
            await body.pour(ours.fileno())
    finally:
        # With its source closed the thread ends, whatever it was doing.
        await asyncio.wait([work])
    work.result()


def _decompress(source: socket.socket, out: int, compression: Compression) -> None:
    with source, source.makefile("rb") as file:
        reader = unwrapped(file, compression)
        while piece := _read(reader):
            view = memoryview(piece)
            while view:
                view = view[os.write(out, view) :]


def _read(reader: BinaryIO) -> bytes:
    try:
        return reader.read(_PIECE)
    except EOFError:
        raise EngineError("unexpected EOF") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise EngineError(f"damaged archive: {error}") from error
