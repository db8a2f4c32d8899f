"""Bytes from a client on their way into a worker: as they are, or decompressed, never by a container's program."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import BinaryIO

from wherry.images.compression import MAGIC_BYTES, Compression, detect, unwrapped
from wherry.model.errors import EngineError

_PIECE = 1 << 18


async def feed(pipe: int, body: AsyncIterator[bytes]) -> None:
    """Write a body to a worker's pipe, decompressed; a worker that takes no more has its reasons.

    Raises EngineError for damaged input, and whatever the body raises.
    """
    first = bytearray()
    async for chunk in body:
        first += chunk
        if len(first) >= MAGIC_BYTES:
            break
    compression = detect(bytes(first))
    with suppress(BrokenPipeError, ConnectionResetError):
        if compression is Compression.NONE:
            os.set_blocking(pipe, False)
            await _write(pipe, bytes(first), body)
        else:
            await _unwrap(pipe, bytes(first), body, compression)


async def _write(out: int, first: bytes, body: AsyncIterator[bytes]) -> None:
    await _write_all(out, first)
    async for chunk in body:
        await _write_all(out, chunk)


async def _write_all(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(out, view) :]
        except BlockingIOError:
            await _writable(out)


async def _writable(out: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(out, _tell, ready)
    try:
        await ready
    finally:
        loop.remove_writer(out)


def _tell(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _unwrap(out: int, first: bytes, body: AsyncIterator[bytes], compression: Compression) -> None:
    """A thread decompresses in between, so that neither side's pace matters to the loop."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    work = asyncio.create_task(asyncio.to_thread(_decompress, theirs, out, compression))
    try:
        with ours, suppress(BrokenPipeError, ConnectionResetError):
            await _write(ours.fileno(), first, body)
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
