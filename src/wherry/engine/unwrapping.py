"""Bytes from a client on their way into a worker: as they are, or decompressed, never by a container's program."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import BinaryIO

from wherry.images.compression import MAGIC_BYTES, Compression, detect, unwrapped
from wherry.model.errors import EngineError

_PIECE = 1 << 18


async def feed(target: socket.socket, body: AsyncIterator[bytes]) -> None:
    """Write a body to a worker's socket, decompressed, and close it; a worker that takes no more has its reasons.

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
            target.setblocking(False)
            await _write(target, bytes(first), body)
            target.shutdown(socket.SHUT_WR)
        else:
            await _unwrap(target, bytes(first), body, compression)


async def _write(target: socket.socket, first: bytes, body: AsyncIterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(target, first)
    async for chunk in body:
        await loop.sock_sendall(target, chunk)


async def _unwrap(target: socket.socket, first: bytes, body: AsyncIterator[bytes], compression: Compression) -> None:
    """A thread decompresses between two sockets, so that neither side's pace matters to the loop."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    work = asyncio.create_task(asyncio.to_thread(_decompress, theirs, target, compression))
    try:
        with ours, suppress(BrokenPipeError, ConnectionResetError):
            await _write(ours, first, body)
    finally:
        # With its source closed the thread ends, whatever it was doing.
        await asyncio.wait([work])
    work.result()


def _decompress(source: socket.socket, target: socket.socket, compression: Compression) -> None:
    target.setblocking(True)
    with source, source.makefile("rb") as file:
        reader = unwrapped(file, compression)
        try:
            while piece := _read(reader):
                target.sendall(piece)
        finally:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)


def _read(reader: BinaryIO) -> bytes:
    try:
        return reader.read(_PIECE)
    except EOFError:
        raise EngineError("unexpected EOF") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise EngineError(f"damaged archive: {error}") from error
