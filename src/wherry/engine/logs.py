"""`GET /containers/{id}/logs`: what was said, as bytes ready to be sent."""

import asyncio
from collections.abc import AsyncIterator

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.log_plan import log_path
from wherry.engine.wait import ended
from wherry.logs.driver import LogQuery, LogReader
from wherry.logs.frames import frames
from wherry.logs.jsonfile import JsonFileLogs
from wherry.logs.none import NoLog
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter, Unsupported

READERS: dict[str, LogReader] = {"json-file": JsonFileLogs(), "none": NoLog()}


class LogStream:
    """A container's log, to be iterated once."""

    def __init__(self, engine: Engine, container: Container, query: LogQuery) -> None:
        """Over a log that can be read."""
        self.tty = container.config.tty
        self._engine = engine
        self._container = container
        self._query = query

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces of the answer; framed unless the container has a terminal."""
        container = self._container
        reader = READERS[container.host_config.log_config.type]
        path = str(log_path(container, self._engine.directory(container.id)))
        end = asyncio.ensure_future(ended(self._engine, container.id)) if self._query.follow else None
        try:
            async for batch in reader.read(path, self._query, ended=end):
                yield frames(batch, self._query, framed=not self.tty)
        finally:
            if end is not None:
                end.cancel()


def prepare(engine: Engine, name: str, query: LogQuery) -> LogStream:
    """Understand the request before its answer begins. Raises NotFound, InvalidParameter, Unsupported."""
    if not (query.stdout or query.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = find(engine, name)
    if container.host_config.log_config.type == "none":
        raise Unsupported("configured logging driver does not support reading")
    return LogStream(engine, container, query)
