"""The numbered files of a `local` log, plain or compressed, read from any place: a number and an offset."""

import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

from wherry.logs.files import OpenLog
from wherry.monitor import squeeze
from wherry.monitor.logfile import MARK
from wherry.monitor.lognames import COMPRESSED, INDEX
from wherry.monitor.packed import (
    AROUND_BYTES,
    ATTRIBUTES,
    HEADER,
    LENGTH,
    RECORD_BYTES_MAX,
    Packet,
    packets,
)

_READ_BYTES = 131072
_GZIP_BITS = 31
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW

Marks = list[tuple[int, int]]
"""Offsets of records in order, each with its first stamp."""


class _Bytes(Protocol):
    """What a segment's plain bytes are read from."""

    def size(self) -> int:
        """How many there are now."""

    def pread(self, size: int, offset: int) -> bytes:
        """Up to so many bytes from an offset on."""

    def marks(self) -> Marks:
        """Where records are known to begin."""

    def close(self) -> None:
        """Close the descriptor."""


class Segment:
    """One file that is open. `position` and `end` are offsets in its plain bytes; `skip` lines come before the next.

    `attributes` are those of the next line, as the JSON they are kept as.
    """

    def __init__(self, identity: int, data: _Bytes) -> None:
        """Its number and its bytes."""
        self.identity = identity
        self.position = 0
        self.end = data.size()
        self.skip = 0
        self.attributes = b""
        self._data = data

    def look_again(self) -> None:
        """Read on to where the file ends now."""
        self.end = self._data.size()

    def packets(self) -> Iterator[list[tuple[int, Packet]]]:
        """Whole records from `position` to `end` in batches, each with the offset after it; `position` moves along."""
        while self.position < self.end:
            found = self._window(self.position)
            if not found:
                return
            self.position = found[-1][0]
            yield found

    def skip_to_last(self, lines: int) -> int:
        """Move on to the last so many lines; how many are left there."""
        found = 0
        for offset, count in self._backwards():
            found += count
            self.position, self.skip = offset, max(0, found - lines)
            if found >= lines:
                return lines
        return found

    def skip_to_time(self, time_ns: int) -> None:
        """Move on to a record before which nothing is as late as that."""
        marks = self._data.marks()
        stamps = [stamp for _, stamp in marks]
        if any(earlier > later for earlier, later in pairwise(stamps)):
            return  # the clock was set back
        number = bisect_left(stamps, time_ns) - 1
        if number >= 0 and self.position < marks[number][0] < self.end:
            self.position, self.skip = marks[number][0], 0

    def find_attributes(self) -> None:
        """Look for the attributes that hold at `position`."""
        wanted, self.position = self.position, 0
        for batch in self.packets():
            for end, packet in batch:
                if end > wanted:
                    break
                if packet.kind == ATTRIBUTES:
                    self.attributes = packet.text
            if self.position >= wanted:
                break
        self.position = wanted

    def first_ns(self) -> int:
        """The first line's stamp, 0 for none."""
        before, self.position = self.position, 0
        try:
            for batch in self.packets():
                for _, packet in batch:
                    if packet.kind != ATTRIBUTES:
                        return packet.first_ns
            return 0
        finally:
            self.position = before

    def close(self) -> None:
        """Close the descriptor."""
        self._data.close()

    def _window(self, start: int) -> list[tuple[int, Packet]]:
        size = _READ_BYTES
        while True:
            data = self._data.pread(min(size, self.end - start), start)
            found = [(start + end, packet) for end, packet in packets(data)]
            if found or len(data) >= self.end - start or size > RECORD_BYTES_MAX:
                break
            size *= 4
        if not found and (end := _next_record(data)):
            return [(start + end, Packet(ATTRIBUTES, 0, 0, self.attributes))]
        return found

    def _backwards(self) -> Iterator[tuple[int, int]]:
        """Offset and lines of each record from the last on; or of all, when the file does not end with one."""
        end = self.end
        while end > 0:
            start = max(0, end - _READ_BYTES)
            data = self._data.pread(end - start, start)
            at = len(data)
            while at > 0 and (begin := _record_before(data, at)) is not None:
                yield start + begin, _lines(data, begin)
                at = begin
            if at == len(data):  # a record that is longer, or no record
                break
            end = start + at
        else:
            return
        yield from reversed(self._forwards(end))

    def _forwards(self, end: int) -> list[tuple[int, int]]:
        """Offset and lines of each record that ends by `end`."""
        self.position = 0
        return [
            (after - AROUND_BYTES - len(packet.text), packet.lines)
            for batch in self.packets()
            for after, packet in batch
            if after <= end
        ]


class SegmentFiles:
    """The numbered files whose names begin with `path`."""

    def __init__(self, path: str) -> None:
        """Of the log at `path`."""
        self.directory, name = os.path.split(path)
        self._prefix = f"{name}."

    def concerns(self, name: bytes) -> bool:
        """Whether a change of that directory entry may be news: not one of an index."""
        return name.startswith(self._prefix.encode()) and name[len(self._prefix) :].isdigit()

    def open(self, *, known: int = 0) -> list[Segment]:
        """Those with a number above `known`, from the oldest on."""
        found = [self._open(number) for number in self.numbers() if number > known]
        return [segment for segment in found if segment]

    def numbers(self) -> list[int]:
        """The numbers that there are, in order."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        numbers = (name.removeprefix(self._prefix).partition(".")[0] for name in names if name.startswith(self._prefix))
        return sorted({int(number) for number in numbers if number.isdecimal()})

    def is_current(self, file: OpenLog) -> bool:
        """Whether there is none with a higher number."""
        numbers = self.numbers()
        return not numbers or numbers[-1] <= file.identity

    def _open(self, number: int) -> Segment | None:
        """The plain file, or else the compressed one; looked for again, as one becomes the other."""
        path = os.path.join(self.directory, f"{self._prefix}{number:08}")
        for name, kind in ((path, _Plain), (f"{path}{COMPRESSED}", _Compressed), (path, _Plain)):
            try:
                return Segment(number, kind(name))
            except FileNotFoundError:
                continue
        return None


class _Plain:
    """A file as it was written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, _FLAGS)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def pread(self, size: int, offset: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def marks(self) -> Marks:
        try:
            with open(f"{self._path}{INDEX}", "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        return [(offset, stamp) for offset, stamp in MARK.iter_unpack(data[: len(data) // MARK.size * MARK.size])]

    def close(self) -> None:
        os.close(self._fd)


class _Compressed:
    """A file of blocks, of which the one that was wanted last is kept."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, _FLAGS)
        try:
            self._entries, self._size = _read_index(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        self._block = (-1, b"")

    def size(self) -> int:
        return self._size

    def pread(self, size: int, offset: int) -> bytes:
        pieces = []
        while size > 0 and offset < self._size:
            number = bisect_left([plain for _, plain, _ in self._entries], offset + 1) - 1
            begin = offset - self._entries[number][1]
            piece = self._unpacked(number)[begin : begin + size]
            if not piece:
                break
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
        return b"".join(pieces)

    def marks(self) -> Marks:
        return [(plain, stamp) for _, plain, stamp in self._entries[:-1] if stamp]

    def close(self) -> None:
        os.close(self._fd)

    def _unpacked(self, number: int) -> bytes:
        if self._block[0] != number:
            start, end = self._entries[number][0], self._entries[number + 1][0]
            try:
                data = zlib.decompress(os.pread(self._fd, end - start, start), _GZIP_BITS)
            except zlib.error:  # the disk is bad: what is in other blocks can still be read
                data = bytes(self._entries[number + 1][1] - self._entries[number][1])
            self._block = (number, data)
        return self._block[1]


def _read_index(fd: int) -> tuple[list[tuple[int, int, int]], int]:
    """The entries, the last of which stands for the end; and the plain size. Raises OSError for another file."""
    size = os.fstat(fd).st_size
    at = size - len(squeeze.TAIL) - squeeze.SIZE.size
    try:
        length = squeeze.SIZE.unpack(os.pread(fd, squeeze.SIZE.size, at))[0]
        found = list(squeeze.ENTRY.iter_unpack(os.pread(fd, length, at - length)))
    except (struct.error, OSError):
        found = []
    if not found:
        raise OSError("a compressed log has no index at its end")
    blocks_end, _, plain_size = found[-1]
    return [*found[:-1], (blocks_end, plain_size, 0)], plain_size


def _record_before(data: bytes, end: int) -> int | None:
    """Where the record begins that ends there, if all of it is in `data`."""
    if end < AROUND_BYTES:
        return None
    begin = end - int(LENGTH.unpack_from(data, end - LENGTH.size)[0])
    if not 0 <= begin <= end - AROUND_BYTES:
        return None
    found = next(packets(data[begin:end]), None)
    return begin if found and found[0] == end - begin else None


def _lines(data: bytes, begin: int) -> int:
    return int(HEADER.unpack_from(data, begin)[2])


def _next_record(data: bytes) -> int:
    """After a power cut there may be zeros: where something that is a record follows, 0 for nowhere."""
    at = 1
    while (at := data.find(b"\xa7", at)) > 0:
        if next(packets(data, at), None) is not None:
            return at
        at += 1
    return 0
