"""A conversation with a command: standard streams over one connection, with the manners of a binary file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from wherry.client.aio import AsyncConnection
from wherry.python.frames import Chunk, Frames


class Session:
    """`read` gives what the command writes to either stream, in its order; iterating tells the streams apart.

    Closing it leaves the command running.
    """

    def __init__(
        self, connection: AsyncConnection, frames: Frames, resize: Callable[[int, int], Awaitable[None]]
    ) -> None:
        """Speak over `connection`; `resize` tells the terminal rows and columns."""
        self._connection = connection
        self._frames = frames
        self._resize = resize
        self._chunks = frames.feed(connection.leftover())
        self._unread = b""
        self.closed = False

    async def write(self, data: bytes) -> int:
        """Send all of `data` to its standard input. Raises BrokenPipeError when it reads no more."""
        await self._connection.wire.sendall(data)
        return len(data)

    async def close_stdin(self) -> None:
        """Tell it that nothing more comes; go on reading."""
        await self._connection.wire.half_close()

    async def read(self, size: int = -1) -> bytes:
        """So many bytes, or all to the end; fewer only at the end."""
        while (size < 0 or len(self._unread) < size) and (chunk := await self.read_chunk()):
            self._unread += chunk.data
        return self._take(len(self._unread) if size < 0 else size)

    async def read1(self, size: int = -1) -> bytes:
        """What has come, after waiting for anything; b"" at the end."""
        if not self._unread and (chunk := await self.read_chunk()):
            self._unread = chunk.data
        return self._take(len(self._unread) if size < 0 else size)

    async def readline(self) -> bytes:
        """To the end of the line, or of the stream."""
        return await self.read_until(b"\n")

    async def read_until(self, end: bytes) -> bytes:
        """To these bytes, such as a prompt, or to the end of the stream."""
        while end not in self._unread and (chunk := await self.read_chunk()):
            self._unread += chunk.data
        found = self._unread.find(end)
        return self._take(found + len(end) if found >= 0 else len(self._unread))

    async def read_chunk(self) -> Chunk | None:
        """The next piece with the name of its stream; None at the end."""
        while not self._chunks:
            piece = await self._receive()
            if not piece:
                return None
            self._chunks = self._frames.feed(piece)
        return self._chunks.pop(0)

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while chunk := await self.read_chunk():
            yield chunk

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size."""
        await self._resize(rows, columns)

    async def close(self) -> None:
        """Leave it; who reads in another thread or task finds the end."""
        if not self.closed:
            self.closed = True
            self._connection.wire.hang_up()
            self._connection.wire.close()

    async def __aenter__(self) -> Self:
        """The session itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        await self.close()

    def _take(self, size: int) -> bytes:
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    async def _receive(self) -> bytes:
        try:
            return await self._connection.wire.recv()
        except (ConnectionResetError, ConnectionAbortedError):
            return b""
