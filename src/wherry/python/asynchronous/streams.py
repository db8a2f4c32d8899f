"""What comes bit by bit: logs, archives, events, progress. Each is closed by leaving its `with` or by its end."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from wherry.client.aio import AsyncAnswer
from wherry.client.errors import ClientError
from wherry.python.frames import Chunk, Frames, Line, Lines
from wherry.python.records.container import PathStatus

T = TypeVar("T")


class Closing:
    """Something over an answer that is left early or read to its end."""

    def __init__(self, answer: AsyncAnswer) -> None:
        """Read from `answer`."""
        self._answer = answer
        self._is_closed = False

    async def close(self) -> None:
        """Leave the stream. Who reads it in another thread or task finds its end."""
        self._is_closed = True
        await self._answer.close()

    async def __aenter__(self) -> Self:
        """The stream itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        await self.close()

    async def _until_closed(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The same items; a connection that breaks off because we closed it is no error."""
        try:
            async for item in items:
                yield item
        except ClientError:
            if not self._is_closed:
                raise


class ByteStream(Closing):
    """Bytes in pieces."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._until_closed(self._answer.__aiter__())

    async def read(self) -> bytes:
        """All of it, or what is left."""
        return await self._answer.read()


class Archive(ByteStream):
    """A tar archive in pieces; `status` says what the path is that it was made of."""

    def __init__(self, answer: AsyncAnswer, status: PathStatus) -> None:
        """The archive in `answer`."""
        super().__init__(answer)
        self.status = status


class LogStream(Closing):
    """Chunks of what a container writes; `lines` puts lines together."""

    def __init__(self, answer: AsyncAnswer, frames: Frames) -> None:
        """The frames in `answer`."""
        super().__init__(answer)
        self._frames = frames

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        async for piece in self._until_closed(self._answer.__aiter__()):
            for chunk in self._frames.feed(piece):
                yield chunk

    async def lines(self) -> AsyncIterator[Line]:
        """Each line, and at the end what came without one's end."""
        lines = Lines()
        async for chunk in self:
            for line in lines.feed(chunk):
                yield line
        for line in lines.end():
            yield line


class RecordStream(Closing, Generic[T]):
    """JSON values as records."""

    def __init__(self, answer: AsyncAnswer, understand: Callable[[Any], T]) -> None:
        """The values in `answer`, each made a record by `understand`."""
        super().__init__(answer)
        self._understand = understand

    async def __aiter__(self) -> AsyncIterator[T]:
        async for value in self._until_closed(self._answer.lines()):
            yield self._understand(value)
