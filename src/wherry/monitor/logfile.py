"""A log file that is rotated at a size: records go in whole, in order, and can be continued by a successor.

As dockerd (daemon/logger/loggerutils/logfile.go): a file that has reached its size is rotated before the next
record; `x` becomes `x.1`, that `x.2` and so on; with a single file the old one is unlinked.
"""

import contextlib
import os
import stat

from wherry.monitor.journal import Place

_MODE = 0o640
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class LogFile:
    """The file `name` in an open directory."""

    def __init__(self, directory_fd: int, name: str, *, bytes_max: int | None, files_max: int) -> None:
        """Open or make the file. Raises OSError."""
        self._directory = directory_fd
        self._name = name
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._fd = -1
        self._open()

    def place(self) -> Place:
        """Where the next encoding begins."""
        return Place(0, self._size, self._inode)

    def write(self, records: bytes, start: int) -> int:
        """Append records from `start` on, up to the file's size; returns the end of what the log has now.

        Raises OSError; the file then ends with a whole record.
        """
        if self._fd < 0:
            self._open()  # a rotation had failed
        end = self._cut(records, start, self._size)
        view = memoryview(records)[start:end]
        before = self._size
        try:
            while view:
                count = os.write(self._fd, view)
                self._size += count
                view = view[count:]
        except OSError:
            self._drop_half_record(before, records[start : start + self._size - before])
            raise
        return end

    @property
    def is_full(self) -> bool:
        """Whether it is rotated before the next record."""
        return self._bytes_max is not None and self._size >= self._bytes_max

    def rotate(self) -> Place:
        """Make room: the older ones move on, a new file begins. Raises OSError."""
        os.close(self._fd)
        self._fd = -1
        try:
            self._shift()
        finally:
            self._open()
        return self.place()

    def reached(self, records: bytes, place: Place) -> int:
        """How much of `records` a forerunner got into the log, when it had come to `place`."""
        if place.inode == self._inode and self._size >= place.offset:
            return min(place.done + self._size - place.offset, len(records))
        if self._bytes_max is not None and place.inode != self._inode:
            # It had filled that file, rotated it, and was killed before it could say so.
            return min(self._cut(records, place.done, place.offset) + self._size, len(records))
        return place.done

    def close(self) -> None:
        """Close the file and its directory."""
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._directory)

    def _open(self) -> None:
        self._fd = os.open(self._name, _FLAGS, _MODE, dir_fd=self._directory)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{self._name} is no regular file")
        self._size, self._inode = status.st_size, status.st_ino

    def _cut(self, records: bytes, start: int, size: int) -> int:
        """The end of the first record with which a file of `size` bytes is full."""
        if self._bytes_max is None or size + len(records) - start < self._bytes_max:
            return len(records)
        newline = records.find(b"\n", max(start, start + self._bytes_max - size - 1))
        return newline + 1 if newline >= 0 else len(records)

    def _shift(self) -> None:
        if self._files_max < 2:
            os.unlink(self._name, dir_fd=self._directory)
            return
        for number in range(self._files_max - 1, 1, -1):
            self._rename(f"{self._name}.{number - 1}", f"{self._name}.{number}")
        self._rename(self._name, f"{self._name}.1")

    def _rename(self, old: str, new: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # not so many yet, or somebody removed it
            os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _drop_half_record(self, before: int, written: bytes) -> None:
        self._size = before + written.rfind(b"\n") + 1
        os.ftruncate(self._fd, self._size)
