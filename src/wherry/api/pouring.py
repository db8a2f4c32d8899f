"""A request's body as the HTTP server has read it, on its way into a pipe."""

import asyncio
import os
from collections.abc import AsyncIterator


class Streamed:
    """See engine.unwrapping.Body."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        """As it comes."""
        self._pieces = pieces
        self._begun = bytearray()

    async def first(self, size: int) -> bytes:
        """Its first bytes. Raises what the body raises."""
        while len(self._begun) < size and (piece := await anext(self._pieces, b"")):
            self._begun += piece
        return bytes(self._begun)

    async def pour(self, out: int) -> None:
        """All of it. Raises OSError, and what the body raises."""
        os.set_blocking(out, False)
        await _write(out, bytes(self._begun))
        async for piece in self._pieces:
            await _write(out, piece)

    def release(self) -> None:
        """Never: part of it is with the server."""


async def _write(out: int, data: bytes) -> None:
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
