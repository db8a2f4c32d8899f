"""Standard streams on one connection: taking Docker's frames apart.

A frame is one byte for the stream, three zero bytes, the length in four bytes, the data. A terminal has no frames.
"""

from collections.abc import Iterator
from typing import NamedTuple

from wherry.client.errors import ProtocolError

HEAD = 8
SYSTEM_ERROR = 3
NAMES = ("stdin", "stdout", "stderr")


class Chunk(NamedTuple):
    """What was written in one go; `stream` is stdout or stderr."""

    stream: str
    data: bytes


class Line(NamedTuple):
    """One line without its end."""

    stream: str
    text: str


class Frames:
    """Bytes in, chunks out; with `is_terminal` all is one stream without frames."""

    def __init__(self, *, is_terminal: bool) -> None:
        """Start at the beginning of a stream."""
        self._is_terminal = is_terminal
        self._rest = b""

    def feed(self, data: bytes) -> list[Chunk]:
        """The whole chunks that `data` completes. Raises ProtocolError for an error that the daemon sends along."""
        if self._is_terminal:
            return [Chunk("stdout", data)] if data else []
        data = self._rest + data
        chunks = []
        at = 0
        while len(data) - at >= HEAD:
            end = at + HEAD + int.from_bytes(data[at + 4 : at + 8], "big")
            if end > len(data):
                break
            chunks.append(_chunk(data[at], data[at + HEAD : end]))
            at = end
        self._rest = data[at:]
        return chunks


class Lines:
    """Chunks in, lines out; the streams are put together each for itself."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self._rest = {"stdout": b"", "stderr": b""}

    def feed(self, chunk: Chunk) -> Iterator[Line]:
        """The lines that `chunk` completes."""
        *whole, self._rest[chunk.stream] = (self._rest[chunk.stream] + chunk.data).split(b"\n")
        for line in whole:
            yield Line(chunk.stream, _text(line))

    def end(self) -> Iterator[Line]:
        """What came without the end of its line."""
        for stream, rest in self._rest.items():
            if rest:
                yield Line(stream, _text(rest))


def _chunk(stream: int, data: bytes) -> Chunk:
    if stream == SYSTEM_ERROR:
        raise ProtocolError(f"error from daemon in stream: {data.decode('utf-8', 'replace')}")
    if stream >= len(NAMES):
        raise ProtocolError(f"the stream has no frame where one was expected: {stream}")
    return Chunk(NAMES[stream] if stream else "stdout", data)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").removesuffix("\r")
