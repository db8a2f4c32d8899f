"""Long work on images, told line by line while it goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp.web import StreamResponse

from wherry.api.answers import Wire, error_line, send_lines, words_for
from wherry.api.routing import Call
from wherry.images.progress import Progress, Report, as_message
from wherry.model.errors import EngineError

Work = Callable[[Report], Awaitable[None]]

log = logging.getLogger(__name__)


async def send_progress(call: Call, work: Work) -> StreamResponse:
    """Do the work and stream what it reports; a client that leaves cancels it.

    An error before the first report is an answer of its own; later it is the last line, as dockerd has it.
    """
    reports: asyncio.Queue[Progress | None] = asyncio.Queue()

    async def work_to_the_end() -> None:
        try:
            await work(reports.put_nowait)
        finally:
            reports.put_nowait(None)

    task = asyncio.create_task(work_to_the_end())
    try:
        first = await reports.get()
        if first is None:
            await task
        return await send_lines(call.request, _lines(first, reports, task))
    finally:
        await _end(task)


async def _lines(
    first: Progress | None, reports: asyncio.Queue[Progress | None], task: asyncio.Task[None]
) -> AsyncIterator[Wire]:
    report = first
    while report is not None:
        yield as_message(report)
        report = await reports.get()
    try:
        await task
    except EngineError as error:
        yield error_line(str(error))
    except Exception as error:
        # The status is long sent: the client learns of it by a last line, the log by its stack.
        log.exception("Work on an image failed")
        yield error_line(words_for(error))


async def _end(task: asyncio.Task[None]) -> None:
    """Leave nothing running behind a client that has gone."""
    task.cancel()
    await asyncio.wait([task])
