"""Output as records of the driver `local`: raw bytes, many lines to a record, so that it costs little to write.

A file is a sequence of records, which can be walked forwards and backwards. All numbers are little-endian:

```
byte 0    0xA7
byte 1    what it is: 1 lines of stdout, 2 lines of stderr, +4 the line goes on in a later record; 8 attributes
2         nothing
4         lines, u32
8         bytes of text, u32
12        stamp of the first line, u64: nanoseconds since the epoch
20        the text: lines with their newlines, which only the last of a file's end or of a long line may lack
20 + n    the whole record's length, u32
```
The n-th line's stamp is the first one's, moved on n times by `jsonlog.after`, as the `json-file` driver does. A record
of attributes has a JSON object for all lines after it, until the next such record. Nothing but the text comes from the
container, and no reader looks for a record's beginning in a text.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

from wherry.monitor.jsonlog import LINE_BYTES_MAX, Encoded, Piece, after, cut, has_short_lines

HEADER = struct.Struct("<BBxxIIQ")
LENGTH = struct.Struct("<I")
AROUND_BYTES = HEADER.size + LENGTH.size
# What a record can be: a line's part, or the attributes, which are labels and variables of a container.
RECORD_BYTES_MAX = 16 * 1024 * 1024
MARK = 0xA7
STDOUT, STDERR, GOES_ON, ATTRIBUTES = 1, 2, 4, 8


class Packet(Struct, frozen=True, gc=False):
    """A record: what it is (STDOUT, STDERR, GOES_ON, ATTRIBUTES), how many lines, the first one's stamp, the text."""

    kind: int
    lines: int
    first_ns: int
    text: bytes


class Packed:
    """`wherry.monitor.logfile.Format` of the driver `local`."""

    def preamble(self, attributes: bytes) -> bytes:
        """What a file begins with."""
        return record(ATTRIBUTES, 0, 0, attributes)

    def encode(
        self, data: bytes, *, stream: str, first_ns: int, rest_ns: int = 0, final: bool = False, attributes: bytes = b""
    ) -> Encoded:
        """As `jsonlog.encode`; the attributes are the preamble's."""
        del attributes
        kind = STDERR if stream == "stderr" else STDOUT
        first_ns = after(first_ns - 1)
        end = data.rfind(b"\n") + 1
        if rest_ns or final or len(data) - end >= LINE_BYTES_MAX or not has_short_lines(data, end):
            return _encode_pieces(data, kind, first_ns, rest_ns, final=final)
        records, last_ns = _encode_lines(data, end, kind, first_ns)
        return Encoded(records, data[end:], 0, last_ns)

    def end_of_record(self, records: bytes, start: int, at: int) -> int:
        """The end of the record that has byte `at`; records begin at `start`."""
        while start <= at and start < len(records):
            start += AROUND_BYTES + HEADER.unpack_from(records, start)[3]
        return start

    def whole(self, records: bytes) -> int:
        """How much of what was cut off anywhere is whole records."""
        end = 0
        while (following := end + _length(records, end)) <= len(records) and following > end:
            end = following
        return end

    def time_ns(self, records: bytes, start: int) -> int:
        """The first stamp of the record at `start`."""
        return int(HEADER.unpack_from(records, start)[4])


def record(kind: int, lines: int, first_ns: int, text: bytes) -> bytes:
    """One record."""
    return b"".join((HEADER.pack(MARK, kind, lines, len(text), first_ns), text, LENGTH.pack(AROUND_BYTES + len(text))))


def packets(data: bytes, start: int = 0) -> Iterator[tuple[int, Packet]]:
    """The whole records from `start` on, each with its end; what is no record ends it."""
    while len(data) - start >= AROUND_BYTES:
        mark, kind, lines, length, first_ns = HEADER.unpack_from(data, start)
        end = start + AROUND_BYTES + length
        if mark != MARK or end > len(data):
            return
        begin = start + HEADER.size
        yield end, Packet(kind, lines, first_ns, data[begin : begin + length])
        start = end


def stamps(first_ns: int, lines: int) -> list[int]:
    """Each line's stamp: those that do not end in a zero, in order."""
    position = first_ns // 10 * 9 + first_ns % 10 - 1
    return [number // 9 * 10 + number % 9 + 1 for number in range(position, position + lines)]


def _length(records: bytes, start: int) -> int:
    if len(records) - start < AROUND_BYTES:
        return AROUND_BYTES
    return AROUND_BYTES + int(HEADER.unpack_from(records, start)[3])


def _encode_lines(data: bytes, end: int, kind: int, first_ns: int) -> tuple[bytes, int]:
    records = []
    start, last_ns = 0, first_ns - 1
    while start < end:
        stop = data.rfind(b"\n", start, start + LINE_BYTES_MAX) + 1
        text = data[start:stop]
        lines = text.count(b"\n")
        stamp = after(last_ns)
        records.append(record(kind, lines, stamp, text))
        last_ns = _last_stamp(stamp, lines)
        start = stop
    return b"".join(records), last_ns


def _last_stamp(first_ns: int, lines: int) -> int:
    number = first_ns // 10 * 9 + first_ns % 10 - 1 + lines - 1
    return number // 9 * 10 + number % 9 + 1


def _encode_pieces(data: bytes, kind: int, first_ns: int, rest_ns: int, *, final: bool) -> Encoded:
    """Lines that are cut: a record for each part, which carries the stamp of the line's first."""
    pieces = cut(data, first_ns, rest_ns, final=final)
    records = [_of_piece(piece, kind) for piece in pieces]
    taken = sum(len(piece.text) + piece.ends for piece in pieces)
    last_ns = max([first_ns - 1, *(piece.time_ns for piece in pieces)])
    goes_on = bool(pieces) and not pieces[-1].ends and not final
    rest_ns = pieces[-1].time_ns if goes_on else (0 if pieces else rest_ns)
    return Encoded(b"".join(records), data[taken:], rest_ns, last_ns)


def _of_piece(piece: Piece, kind: int) -> bytes:
    if piece.ends:
        return record(kind, 1, piece.time_ns, piece.text + b"\n")
    return record(kind | GOES_ON, 1, piece.time_ns, piece.text)
