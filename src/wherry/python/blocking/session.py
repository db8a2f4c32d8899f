"""A conversation with a command: standard streams over one connection, with the manners of a binary file."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from wherry.client.http import Connection
from wherry.python.frames import Chunk, Frames


class Session:
    """`read` gives what the command writes to either stream, in its order; iterating tells the streams apart.

    Closing it leaves the command running.
    """

    def __init__(self, connection: Connection, frames: Frames, resize: Callable[[int, int], None]) -> None:
        """Speak over `connection`; `resize` tells the terminal rows and columns."""
        self._connection = connection
        self._frames = frames
        self._resize = resize
        self._chunks = frames.feed(connection.leftover())
        self._unread = b""
        self.closed = False

    def write(self, data: bytes) -> int:
        """Send all of `data` to its standard input. Raises BrokenPipeError when it reads no more."""
        self._connection.wire.sendall(data)
        return len(data)

    def close_stdin(self) -> None:
        """Tell it that nothing more comes; go on reading."""
        self._connection.wire.half_close()

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all to the end; fewer only at the end."""
        while (size < 0 or len(self._unread) < size) and (chunk := self.read_chunk()):
            self._unread += chunk.data
        return self._take(len(self._unread) if size < 0 else size)

    def read1(self, size: int = -1) -> bytes:
        """What has come, after waiting for anything; b"" at the end."""
        if not self._unread and (chunk := self.read_chunk()):
            self._unread = chunk.data
        return self._take(len(self._unread) if size < 0 else size)

    def readline(self) -> bytes:
        """To the end of the line, or of the stream."""
        return self.read_until(b"\n")

    def read_until(self, end: bytes) -> bytes:
        """To these bytes, such as a prompt, or to the end of the stream."""
        while end not in self._unread and (chunk := self.read_chunk()):
            self._unread += chunk.data
        found = self._unread.find(end)
        return self._take(found + len(end) if found >= 0 else len(self._unread))

    def read_chunk(self) -> Chunk | None:
        """The next piece with the name of its stream; None at the end."""
        while not self._chunks:
            piece = self._receive()
            if not piece:
                return None
            self._chunks = self._frames.feed(piece)
        return self._chunks.pop(0)

    def __iter__(self) -> Iterator[Chunk]:
        while chunk := self.read_chunk():
            yield chunk

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size."""
        self._resize(rows, columns)

    def close(self) -> None:
        """Leave it; who reads in another thread or task finds the end."""
        if not self.closed:
            self.closed = True
            self._connection.wire.hang_up()
            self._connection.wire.close()

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        self.close()

    def _take(self, size: int) -> bytes:
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _receive(self) -> bytes:
        try:
            return self._connection.wire.recv()
        except (ConnectionResetError, ConnectionAbortedError):
            return b""
