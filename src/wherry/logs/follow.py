"""Following a log: inotify says when there is more, also in the file that comes after a rotation."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Generic, Protocol, TypeVar

from wherry.linux import inotify
from wherry.logs.files import OpenLog
from wherry.logs.watching import Watch

_NS_PER_SECOND = 1_000_000_000


File = TypeVar("File", bound=OpenLog)


class LogFiles(Protocol[File]):
    """The files of one log in its directory, whatever they are called."""

    directory: str

    def concerns(self, name: bytes) -> bool:
        """Whether a change of that directory entry may be news."""

    def open(self, *, known: int = 0) -> list[File]:
        """The files from the oldest on; with `known` only those that came after the file of that identity."""

    def is_current(self, file: OpenLog) -> bool:
        """Whether a file is still the one that is written."""


class Follower(Generic[File]):
    """Watches a log's directory from its making on."""

    def __init__(self, log: LogFiles[File], ended: Awaitable[object] | None, *, until_ns: int = 0) -> None:
        """Begin to watch. `ended` is the container's end. Raises OSError."""
        self._log = log
        self._until_ns = until_ns
        self._more = asyncio.Event()
        self._watch = Watch(log.directory, self._notice)
        self._ended = _own(ended) if ended is not None else None

    async def goes_on(self, files: list[File]) -> AsyncIterator[File]:
        """A file each time there may be more in it, until the container's end. `files` has what is open."""
        while True:
            is_last_look = self._is_over()
            self._more.clear()
            for file in files:
                file.look_again()
                yield file
            while not files or not self._log.is_current(files[-1]):
                for file in files[-1:]:  # what was written right before its rotation
                    file.look_again()
                    yield file
                newer = self._log.open(known=files[-1].identity if files else 0)
                if not newer:
                    break
                _replace(files, newer)
                for file in newer:
                    yield file
            if is_last_look:
                return
            await self._wait()

    async def close(self) -> None:
        """Stop watching."""
        self._watch.close()
        if self._ended and not self._ended.done():
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)

    def _notice(self, event: inotify.Event) -> None:
        if self._log.concerns(event.name) or event.mask & inotify.IN_Q_OVERFLOW:
            self._more.set()

    def _is_over(self) -> bool:
        return bool(self._ended and self._ended.done()) or 0 < self._until_ns < time.time_ns()

    async def _wait(self) -> None:
        """Until there is more, the container has ended, or `until_ns` is over."""
        more = asyncio.ensure_future(self._more.wait())
        waited: set[asyncio.Future[Any]] = {more, self._ended} if self._ended else {more}
        timeout = (self._until_ns - time.time_ns()) / _NS_PER_SECOND if self._until_ns else None
        try:
            await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            more.cancel()


def _own(ended: Awaitable[object]) -> asyncio.Future[object]:
    # A future may be waited for by others: it must not be cancelled with us.
    return asyncio.shield(ended) if asyncio.isfuture(ended) else asyncio.ensure_future(ended)


def _replace(files: list[File], newer: list[File]) -> None:
    """Follow the newest; those in between are read once, and closed with it."""
    for file in files:
        file.close()
    files[:] = newer
