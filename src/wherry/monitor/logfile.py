"""A log file that is rotated at a size: records go in whole, in order, and can be continued by a successor.

As dockerd (daemon/logger/loggerutils/logfile.go): a file that has reached its size is rotated before the next
record. What the files are called is `lognames`, what a record looks like is a `Format`.
"""

import contextlib
import os
import stat
import struct
from collections.abc import Callable
from typing import Protocol

from wherry.monitor import squeeze
from wherry.monitor.journal import Place
from wherry.monitor.jsonlog import Encoded
from wherry.monitor.lognames import INDEX, Names, remove_temporaries

# An entry of an index: the offset of a record and its first stamp.
MARK = struct.Struct("<QQ")
MARK_EVERY_BYTES = 262144
_MODE = 0o640
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Format(Protocol):
    """How output becomes records. `encode` is pure, so that a successor gets the very same bytes."""

    def preamble(self, attributes: bytes) -> bytes:
        """What a file begins with."""

    def encode(
        self, data: bytes, *, stream: str, first_ns: int, rest_ns: int = 0, final: bool = False, attributes: bytes = b""
    ) -> Encoded:
        """What is left of an unfinished line together with what came after it; see `jsonlog.encode`."""

    def end_of_record(self, records: bytes, start: int, at: int) -> int:
        """The end of the record that has byte `at`; records begin at `start`."""

    def whole(self, records: bytes) -> int:
        """How much of what was cut off anywhere is whole records."""

    def time_ns(self, records: bytes, start: int) -> int:
        """The first stamp of the record at `start`, 0 where no index is kept."""


class LogFile:
    """The current file of a log in an open directory."""

    def __init__(
        self,
        directory_fd: int,
        names: Names,
        record: Format,
        *,
        bytes_max: int | None,
        attributes: bytes = b"",
        compress: bool = False,
    ) -> None:
        """Open or make the file. `compress` is for those that are rotated. Raises OSError."""
        self.format = record
        self.attributes = attributes
        self._directory = directory_fd
        self._names = names
        self._bytes_max = bytes_max
        self._compress = compress
        self._squeezer = 0
        self._preamble = record.preamble(attributes)
        self._fd = -1
        self._open()

    def begin(self) -> None:
        """A container begins to write, whose attributes may be others than before. Raises OSError."""
        if self._compress:
            remove_temporaries(self._directory)
            self._squeeze()
        if self._preamble and self._size > len(self._preamble):
            self._append(self._preamble)

    def place(self) -> Place:
        """Where the next encoding begins."""
        return Place(0, self._size, self._inode)

    def write(self, records: bytes, start: int) -> int:
        """Append records from `start` on, up to the file's size; returns the end of what the log has now.

        Raises OSError; the file then ends with a whole record.
        """
        if self._fd < 0:
            self._open()  # a rotation had failed
        if self._size - self._marked >= MARK_EVERY_BYTES:
            self._mark(self.format.time_ns(records, start))
        end = self._cut(records, start, self._size)
        self._append(memoryview(records)[start:end])
        return end

    @property
    def is_full(self) -> bool:
        """Whether it is rotated before the next record."""
        return self._fills(self._size)

    def rotate(self) -> Place:
        """Make room: the older ones move on, a new file begins. Raises OSError."""
        self._begin_anew(self._names.advance)
        self._squeeze()
        return self.place()

    def clear(self) -> None:
        """Forget all that was written. Raises OSError."""
        self._begin_anew(self._names.clear)

    def reached(self, records: bytes, place: Place) -> int:
        """How much of `records` a forerunner got into the log, when it had come to `place`."""
        if place.inode == self._inode and self._size >= place.offset:
            return min(place.done + self._size - place.offset, len(records))
        if self._bytes_max is not None:
            # It had filled that file, rotated it, and was killed before it could say so. The inode may be the same.
            into_last = place.done if self._fills(place.offset) else self._cut(records, place.done, place.offset)
            return min(into_last + self._size - len(self._preamble), len(records))
        return place.done

    def reaped(self, pid: int, *, well: bool) -> bool:
        """A child has ended; whether it was ours, which compresses. When it did `well`, the next may follow."""
        if not pid or pid != self._squeezer:
            return False
        self._squeezer = 0
        if well:
            self._squeeze()
        return True

    def open_spill(self) -> int:
        """A file without a name in the same directory, and so on the same disk. Raises OSError."""
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=self._directory)

    def close(self) -> None:
        """Close the file and its directory; what is rotated is compressed all the same."""
        with contextlib.suppress(OSError):  # no process left
            if self._compress and self._names.rotated():
                # The one at work may have looked for the last time before the last rotation.
                squeeze.start(self._directory, self._names, blocks=bool(self._preamble), after=self._squeezer)
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._directory)
        self._directory = -1

    def _open(self) -> None:
        self._fd = os.open(self._names.current, _FLAGS, _MODE, dir_fd=self._directory)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{self._names.current} is no regular file")
        self._size, self._inode = status.st_size, status.st_ino
        self._marked = self._size
        if self._size < len(self._preamble):  # new, or a forerunner was killed over it
            os.ftruncate(self._fd, 0)
            self._size = 0
            self._append(self._preamble)

    def _begin_anew(self, make_room: Callable[[], None]) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        try:
            with squeeze.Locked(self._directory):
                make_room()
        finally:
            self._open()

    def _squeeze(self) -> None:
        """Have those compressed that are not yet; by one child at a time, which outlives us."""
        if self._compress and not self._squeezer and self._names.rotated():
            self._squeezer = squeeze.start(self._directory, self._names, blocks=bool(self._preamble))

    def _append(self, records: bytes | memoryview) -> None:
        before = self._size
        view = memoryview(records)
        try:
            while view:
                count = os.write(self._fd, view)
                self._size += count
                view = view[count:]
        except OSError:
            self._size = before + self.format.whole(bytes(records[: self._size - before]))
            os.ftruncate(self._fd, self._size)
            raise

    def _mark(self, time_ns: int) -> None:
        """Note where a record begins, for readers who look for a time."""
        self._marked = self._size
        if time_ns:
            name = f"{self._names.current}{INDEX}"
            fd = os.open(name, _FLAGS, _MODE, dir_fd=self._directory)
            try:
                os.write(fd, MARK.pack(self._size, time_ns))
            finally:
                os.close(fd)

    def _fills(self, size: int) -> bool:
        return self._bytes_max is not None and size >= self._bytes_max + len(self._preamble)

    def _cut(self, records: bytes, start: int, size: int) -> int:
        """The end of the first record with which a file of `size` bytes is full."""
        if self._bytes_max is None:
            return len(records)
        room = self._bytes_max + len(self._preamble) - size
        if len(records) - start < room:
            return len(records)
        return self.format.end_of_record(records, start, max(start, start + room - 1))
