"""A stream of 512-byte records, read from a source in large pieces."""

import os

from wherry.linux.reservation import reserved
from wherry.storage.source import Source
from wherry.storage.tarnumbers import UNEXPECTED_EOF, TarError

RECORD = 512
_READ_SIZE = 1 << 20
# What a header promises may never come, and all the room on a disk is not for it.
_RESERVED_BYTES_MAX = 1 << 27


class RecordStream:
    """Reads records and payloads; a payload that nobody wanted is skipped by `finish_payload`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = b""
        self._position = 0
        self._payload = 0  # bytes of the current payload not yet read
        self._padding = 0

    def record(self) -> bytes:
        """The next record, or nothing at the end of the stream. Raises TarError for part of one."""
        end = self._position + RECORD
        if end > len(self._buffer):
            self._fill(RECORD)
            end = self._position + RECORD
        record = self._buffer[self._position : end]
        self._position += len(record)
        if record and len(record) < RECORD:
            raise TarError(UNEXPECTED_EOF)
        return record

    def begin_payload(self, size: int) -> None:
        """The next `size` bytes, filled up to whole records, belong to one member."""
        self._payload = size
        self._padding = -size % RECORD

    def read_payload(self, size: int) -> bytes:
        """`size` bytes of the current payload, which has that many. Raises TarError at the end of the stream."""
        if size > self._payload:
            raise TarError(UNEXPECTED_EOF)
        self._fill(size)
        piece = self._buffer[self._position : self._position + size]
        if len(piece) < size:
            raise TarError(UNEXPECTED_EOF)
        self._position += size
        self._payload -= size
        return piece

    def copy_payload(self, out: int, size: int) -> None:
        """Write `size` bytes of the current payload to a file. Raises TarError, OSError."""
        if size > self._payload:
            raise TarError(UNEXPECTED_EOF)
        self._payload -= size
        while size:
            step = min(size, _RESERVED_BYTES_MAX)
            with reserved(out, step):
                self._copy(out, step)
            size -= step

    def _copy(self, out: int, size: int) -> None:
        while size:
            if self._position >= len(self._buffer):
                size -= self._source.move(out, size)
                if not size:
                    return
                self._fill(1)
            piece = memoryview(self._buffer)[self._position : self._position + size]
            if not piece:
                raise TarError(UNEXPECTED_EOF)
            written = os.write(out, piece)
            self._position += written
            size -= written

    def copy_sparse(self, out: int, pieces: list[tuple[int, int]], size: int) -> None:
        """Write the pieces (offset, length) of the current payload to a file of `size` bytes. Raises as above."""
        os.ftruncate(out, size)
        for offset, length in pieces:
            os.lseek(out, offset, os.SEEK_SET)
            self.copy_payload(out, length)

    def finish_payload(self) -> None:
        """Skip what is left of the current payload. Raises TarError at the end of the stream."""
        left, padding = self._payload, self._padding
        self._payload = self._padding = 0
        if self._skip(left):
            raise TarError(UNEXPECTED_EOF)
        # umoci leaves the last one out; Go's archive/tar does not miss it.
        self._skip(padding)

    def _skip(self, left: int) -> int:
        """Pass over bytes; what is left when the stream ends before."""
        while left:
            here = min(left, len(self._buffer) - self._position)
            self._position += here
            left -= here
            if left:
                self._fill(1)
                if self._position >= len(self._buffer):
                    return left
        return 0

    def drain(self) -> None:
        """Read to the end of the stream, so that its writer is never cut off."""
        self._buffer, self._position = b"", 0
        while self._source.read(_READ_SIZE):
            pass

    def _fill(self, size: int) -> None:
        """Have at least `size` bytes in the buffer, unless the stream ends."""
        missing = size - (len(self._buffer) - self._position)
        if missing <= 0:
            return
        pieces = [self._buffer[self._position :]]
        while missing > 0 and (piece := self._source.read(_READ_SIZE)):
            pieces.append(piece)
            missing -= len(piece)
        self._buffer = b"".join(pieces)
        self._position = 0
