"""The log driver that keeps nothing."""

from collections.abc import AsyncIterator, Awaitable, Sequence

from wherry.logs.driver import LogQuery, LogText
from wherry.model.errors import Unsupported


class NoLog:
    """`wherry.logs.driver.LogReader` of the driver `none`."""

    name = "none"

    async def read(
        self, path: str, query: LogQuery, *, ended: Awaitable[object] | None = None
    ) -> AsyncIterator[Sequence[LogText]]:
        """Raises Unsupported, in dockerd's words (moby logger.ErrReadLogsNotSupported)."""
        del path, query, ended
        raise Unsupported("configured logging driver does not support reading")
        yield []  # type: ignore[unreachable]  # it makes this an iterator

    def clear(self, path: str) -> None:
        """There is nothing."""
