"""Bytes from a client on their way into a worker: as they are, or decompressed, never by a container's program."""

import asyncio
import os
import socket
from contextlib import suppress
from typing import BinaryIO, Protocol

from wherry.engine.aside import aside
from wherry.images.compression import MAGIC_BYTES, Compression, detect, unwrapped
from wherry.model.errors import EngineError

_PIECE = 1 << 18


class Body(Protocol):
    """What a client sends."""

    async def first(self, size: int) -> bytes:
        """Its first bytes, at least so many unless it has fewer; `pour` writes them too."""

    async def pour(self, out: int) -> None:
        """Write all of it to a pipe or a socket, which becomes non-blocking. Raises EngineError, OSError."""


async def feed(pipe: int, body: Body) -> None:
    """Write a body to a worker's pipe, decompressed; a worker that takes no more has its reasons.

    Raises EngineError for damaged input, and whatever the body raises.
    """
    compression = detect(await body.first(MAGIC_BYTES))
    with suppress(BrokenPipeError, ConnectionResetError):
        if compression is Compression.NONE:
            await body.pour(pipe)
        else:
            await _unwrap(pipe, body, compression)


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
