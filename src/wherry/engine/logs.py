"""`GET /containers/{id}/logs`: what was said, as bytes ready to be sent; and forgetting it."""

import asyncio
from collections.abc import AsyncIterator

from wherry.drivers.driver import ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.log_plan import log_path, log_reader
from wherry.engine.wait import life_ended
from wherry.logs.driver import LogQuery
from wherry.logs.frames import frames
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter, Unsupported


class LogStream:
    """A container's log, to be iterated once."""

    def __init__(self, engine: Engine, container: Container, query: LogQuery, *, framed: bool) -> None:
        """Over a log that can be read."""
        self.tty = container.config.tty
        self._framed = framed
        self._engine = engine
        self._container = container
        self._query = query

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces of the answer."""
        container = self._container
        path = str(log_path(self._engine, container))
        end = asyncio.ensure_future(life_ended(self._engine, container.id)) if self._query.follow else None
        try:
            async for batch in log_reader(container).read(path, self._query, ended=end):
                yield frames(batch, self._query, framed=self._framed)
        finally:
            if end is not None:
                end.cancel()


def prepare(engine: Engine, name: str, query: LogQuery, *, framed: bool | None = None) -> LogStream:
    """Understand the request before its answer begins. Framed, unless said otherwise or the container has a terminal.

    Raises NotFound, InvalidParameter, Unsupported.
    """
    if not (query.stdout or query.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = find(engine, name)
    if log_reader(container).name == "none":
        raise Unsupported("configured logging driver does not support reading")
    return LogStream(engine, container, query, framed=not container.config.tty if framed is None else framed)


async def clear(engine: Engine, name: str) -> None:
    """Forget what a container has said so far; what it says next is logged as before. Raises NotFound, EngineError."""
    container = find(engine, name)
    live = engine.live_of(container.id)
    async with live.lock:
        container = find(engine, container.id)
        if live.process is not None:
            try:
                await live.process.clear_log()
            except ProcessGone:
                pass
            else:
                return
        path = str(log_path(engine, container))
        await asyncio.to_thread(log_reader(container).clear, path)
