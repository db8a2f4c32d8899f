"""A request's body as it comes on a connection: by its length, or in chunks.

The framing is as RFC 9112 sections 6.2 and 7.1 have it; what is wrong with it is told in the words of Go's reader of
chunks.
"""

import string
from collections.abc import Callable

UNEXPECTED_EOF = "unexpected EOF"
# What the kernel can move is not read: from so many bytes on that is less work.
MOVED_BYTES_MIN = 1 << 17

_LINE_BYTES_MAX = 4096
_CHUNK_DIGITS_MAX = 16
_PIECE = 1 << 18
_HEX_DIGITS = frozenset(string.hexdigits)


class FramingError(ValueError):
    """It is framed wrongly, or breaks off."""


class FramedBody:
    """`rest` is what was read of it already, `length` its bytes in all, None for chunks.

    `receive` gives what has come, at most so many bytes and at least one. It raises FramingError when that is all.
    """

    def __init__(self, receive: Callable[[int], bytes], rest: bytes, length: int | None) -> None:
        self._receive = receive
        self._rest = rest
        self._at = 0
        # How far to read with a line: not far before what the kernel can move.
        self._ahead = _LINE_BYTES_MAX
        self._is_chunked = length is None
        self._left = length or 0  # of the body, or of the chunk
        self._is_first_chunk = True
        self.is_over = length == 0

    def goes_on(self) -> bool:
        """Whether there is more of it. Raises FramingError."""
        if not self._left and not self.is_over:
            self._left = self._chunk_size() if self._is_chunked else 0
            self.is_over = not self._left
            if self.is_over and self._is_chunked:
                self._skip_trailers()
        return not self.is_over

    def take(self, limit: int) -> memoryview:
        """At most so many bytes of one that goes on, at least one. Raises FramingError."""
        if not self._buffered:
            self._rest, self._at = self._receive(_PIECE), 0
        end = min(self._at + min(self._left, limit), len(self._rest))
        piece = memoryview(self._rest)[self._at : end]
        self._at = end
        self._left -= len(piece)
        return piece

    def take_many(self, limit: int) -> list[memoryview]:
        """As `take`, with all that follows and is here already: chunk by chunk would cost more than the bytes."""
        pieces = [self.take(limit)]
        limit -= len(pieces[0])
        while limit and self._is_known() and self.goes_on() and self._buffered:
            pieces.append(self.take(limit))
            limit -= len(pieces[-1])
        return pieces

    def unread(self) -> int:
        """How many bytes of one that goes on the kernel can move past us from the connection."""
        return 0 if self._buffered or self._left < MOVED_BYTES_MIN else self._left

    def moved(self, size: int) -> None:
        """So many of them were moved."""
        self._left -= size

    @property
    def _buffered(self) -> int:
        return len(self._rest) - self._at

    def _is_known(self) -> bool:
        """Whether what comes next can be told without reading on."""
        return bool(self._left) or self._rest.find(b"\n", self._rest.find(b"\n", self._at) + 1) > self._at

    def _chunk_size(self) -> int:
        if not self._is_first_chunk and self._line():
            raise FramingError("malformed chunked encoding")
        self._is_first_chunk = False
        digits = self._line().partition(b";")[0].strip().decode("latin-1")
        if len(digits) > _CHUNK_DIGITS_MAX:
            raise FramingError("http chunk length too large")
        if not digits or not set(digits) <= _HEX_DIGITS:
            raise FramingError("invalid byte in chunk length")
        size = int(digits, 16)
        self._ahead = _LINE_BYTES_MAX if size >= MOVED_BYTES_MIN else _PIECE
        return size

    def _skip_trailers(self) -> None:
        while self._line():
            pass

    def _line(self) -> bytes:
        """A line without its end."""
        while (end := self._rest.find(b"\n", self._at)) < 0:
            if self._buffered > _LINE_BYTES_MAX:
                raise FramingError("malformed chunked encoding")
            self._rest, self._at = self._rest[self._at :] + self._receive(self._ahead), 0
        line = self._rest[self._at : end]
        self._at = end + 1
        return line.removesuffix(b"\r")


def drop(pieces: list[memoryview], written: int) -> None:
    """Take from pieces what writev(2) has written of them."""
    while pieces and written >= len(pieces[0]):
        written -= len(pieces.pop(0))
    if pieces:
        pieces[0] = pieces[0][written:]
