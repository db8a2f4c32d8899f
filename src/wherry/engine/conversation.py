"""Listening to a worker without a thread: its report, part by part, as it comes."""

import asyncio
import errno
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from wherry.engine.engine import Visit
from wherry.model.errors import Conflict
from wherry.storage.paths import Found
from wherry.storage.visits import FOUND_PARTS, read_found
from wherry.storage.worker import failure
from wherry.storage.workforce import Worker

PART_BYTES_MAX = 1 << 16

T = TypeVar("T")


class Conversation:
    """What a worker has to say."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """It is read from a pipe."""
        self._reader = reader

    async def part(self) -> bytes:
        """The next part. Raises WorkerFailed when there is none, with what it said instead."""
        try:
            return (await self._reader.readuntil(b"\0"))[:-1]
        except asyncio.IncompleteReadError as error:
            raise failure(error.partial) from None
        except asyncio.LimitOverrunError:
            raise failure(b"error %d a report without an end" % errno.EIO) from None

    async def found(self) -> Found:
        """What stands at a path. Raises WorkerFailed."""
        await self.part()  # `ok`
        return read_found([await self.part() for _ in range(FOUND_PARTS)])


@asynccontextmanager
async def listening(worker: Worker) -> AsyncIterator[Conversation]:
    """A conversation with a worker, which is ended with it."""
    reader = asyncio.StreamReader(limit=PART_BYTES_MAX)
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), worker.report)
        try:
            yield Conversation(reader)
        finally:
            transport.close()
    finally:
        await asyncio.to_thread(worker.end)


async def until_sent_away(visit: Visit, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; it ends when the visit shall. Raises Conflict then."""
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(visit.away.wait())
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Conflict("the container is being removed")
        return doing.result()
    finally:
        doing.cancel()
        leaving.cancel()
        await asyncio.wait((doing, leaving))
