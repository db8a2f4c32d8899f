"""What comes bit by bit: logs, archives, events, progress. Each is closed by leaving its `with` or by its end."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from wherry.client.client import Answer
from wherry.client.errors import ClientError
from wherry.python.frames import Chunk, Frames, Line, Lines
from wherry.python.records.container import PathStatus

T = TypeVar("T")


class Closing:
    """Something over an answer that is left early or read to its end."""

    def __init__(self, answer: Answer) -> None:
        """Read from `answer`."""
        self._answer = answer
        self._is_closed = False

    def close(self) -> None:
        """Leave the stream. Who reads it in another thread or task finds its end."""
        self._is_closed = True
        self._answer.close()

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        self.close()

    def _until_closed(self, items: Iterator[T]) -> Iterator[T]:
        """The same items; a connection that breaks off because we closed it is no error."""
        try:
            for item in items:
                yield item
        except ClientError:
            if not self._is_closed:
                raise


class ByteStream(Closing):
    """Bytes in pieces."""

    def __iter__(self) -> Iterator[bytes]:
        return self._until_closed(self._answer.__iter__())

    def read(self) -> bytes:
        """All of it, or what is left."""
        return self._answer.read()


class Archive(ByteStream):
    """A tar archive in pieces; `status` says what the path is that it was made of."""

    def __init__(self, answer: Answer, status: PathStatus) -> None:
        """The archive in `answer`."""
        super().__init__(answer)
        self.status = status


class LogStream(Closing):
    """Chunks of what a container writes; `lines` puts lines together."""

    def __init__(self, answer: Answer, frames: Frames) -> None:
        """The frames in `answer`."""
        super().__init__(answer)
        self._frames = frames

    def __iter__(self) -> Iterator[Chunk]:
        for piece in self._until_closed(self._answer.__iter__()):
            for chunk in self._frames.feed(piece):
                yield chunk

    def lines(self) -> Iterator[Line]:
        """Each line, and at the end what came without one's end."""
        lines = Lines()
        for chunk in self:
            for line in lines.feed(chunk):
                yield line
        for line in lines.end():
            yield line


class RecordStream(Closing, Generic[T]):
    """JSON values as records."""

    def __init__(self, answer: Answer, understand: Callable[[Any], T]) -> None:
        """The values in `answer`, each made a record by `understand`."""
        super().__init__(answer)
        self._understand = understand

    def __iter__(self) -> Iterator[T]:
        for value in self._until_closed(self._answer.lines()):
            yield self._understand(value)
