r"""Output as lines of a json-file log, byte for byte as dockerd writes them: a pure function of bytes and a time.

A record is `{"log":"text\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}` and a newline (moby
daemon/logger/jsonfilelog). Being pure, it can be done again: a monitor that takes over encodes what its forerunner
had in hand and gets the very same bytes, so it can tell how much of them had reached the file.

The speed comes from encoding a whole read at once: newlines become a character that needs no escape and that the
text does not have, one call escapes everything, and the result is cut at that character again. Escaped text is
handled as str with a character for each byte (Latin-1): joining thousands of them is quicker than with bytes.
"""

import codecs
import time
from functools import lru_cache

import msgspec
from msgspec import Struct

# dockerd cuts longer lines into records without a newline (daemon/logger/copier.go defaultBufSize).
LINE_BYTES_MAX = 16384
_BLOCK = LINE_BYTES_MAX // 2
_NEWLINE = "\x7f"
# What msgspec writes shorter than Go does, what stands for it during the encoding, and Go's form.
_SHORT = (("\t", "\x81", b"\\u0009"), ("\b", "\x82", b"\\u0008"), ("\f", "\x83", b"\\u000c"))
# What msgspec leaves raw and Go escapes.
_RAW = tuple((character, character.encode(), b"\\u%04x" % ord(character)) for character in "<>&\u2028\u2029")
_SLOW = {code: f"\\u{code:04x}" for code in (*range(32), 0x3C, 0x3E, 0x26, 0x2028, 0x2029)}
_SLOW |= dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd")  # what surrogateescape makes of a bad byte
_SLOW |= {ord("\n"): "\\n", ord("\r"): "\\r", ord('"'): '\\"', ord("\\"): "\\\\"}
# Go cuts trailing zeros off a time. No stamp ends in one, so none has to be cut: 900 of each 1000 remain.
_TAILS = [f'{number:03}Z"}}\n{{"log":"' for number in range(1000) if number % 10]
_OPENING = '{"log":"'
# What stands for a bad byte during the encoding. Go has an escape for each of them, but leaves a true U+FFFD raw.
_BAD = "\x84"
_HANDLER = "wherry-each-byte"


def _mark_each_byte(error: UnicodeError) -> tuple[str, int]:
    """Python would have one mark for a whole bad sequence."""
    assert isinstance(error, UnicodeDecodeError)
    return _BAD * (error.end - error.start), error.end


codecs.register_error(_HANDLER, _mark_each_byte)


class Json:
    """`wherry.monitor.logfile.Format` of the driver `json-file`."""

    def preamble(self, attributes: bytes) -> bytes:
        """Nothing: every record has its attributes."""
        del attributes
        return b""

    def encode(
        self, data: bytes, *, stream: str, first_ns: int, rest_ns: int = 0, final: bool = False, attributes: bytes = b""
    ) -> "Encoded":
        """As `encode`."""
        return encode(data, stream=stream, first_ns=first_ns, rest_ns=rest_ns, final=final, attributes=attributes)

    def end_of_record(self, records: bytes, start: int, at: int) -> int:
        """The end of the record that has byte `at`; records begin at `start`."""
        newline = records.find(b"\n", max(start, at))
        return newline + 1 if newline >= 0 else len(records)

    def whole(self, records: bytes) -> int:
        """How much of what was cut off anywhere is whole records."""
        return records.rfind(b"\n") + 1

    def time_ns(self, records: bytes, start: int) -> int:
        """Not needed: a reader finds a time in a json-file by halving."""
        del records, start
        return 0


class Encoded(Struct, frozen=True):
    """Whole records, the bytes of a line that has not ended, and the stamp its logged parts carry (0 for none)."""

    records: bytes
    rest: bytes
    rest_ns: int
    last_ns: int


class Piece(Struct, frozen=True):
    """Part of a line that becomes one record: `ends` with the line's newline or not."""

    text: bytes
    ends: bool
    time_ns: int


def encode(
    data: bytes, *, stream: str, first_ns: int, rest_ns: int = 0, final: bool = False, attributes: bytes = b""
) -> Encoded:
    """Encode what is left of an unfinished line together with what came after it.

    Each line has a stamp of its own, from `first_ns` (nanoseconds since the epoch) upwards. `rest_ns` is the stamp
    of the line's parts that were logged already. `final` logs an unfinished line too, without a newline.
    `attributes` is a JSON object for every record, or empty.
    """
    first_ns = after(first_ns - 1)
    middle = _middle(stream, attributes)
    end = data.rfind(b"\n") + 1
    if rest_ns or final or len(data) - end >= LINE_BYTES_MAX or not has_short_lines(data, end):
        return _encode_pieces(data, middle, first_ns, rest_ns, final=final)
    if not end:
        return Encoded(b"", data, 0, first_ns - 1)
    # Block by block, which keeps the objects that are alive at once, and so the monitor's memory, small.
    blocks = []
    start, last_ns = 0, first_ns - 1
    while start < end:
        stop = data.rfind(b"\n", start, start + LINE_BYTES_MAX) + 1
        block, last_ns = _encode_lines(data[start : stop - 1], middle, after(last_ns))
        blocks.append(block)
        start = stop
    return Encoded(b"".join(blocks), data[end:], 0, last_ns)


def after(time_ns: int) -> int:
    """The next stamp that may be used."""
    return time_ns + (2 if time_ns % 10 == 9 else 1)


def _middle(stream: str, attributes: bytes) -> str:
    attrs = f'"attrs":{attributes.decode("latin-1")},' if attributes else ""
    return f'\\n","stream":"{stream}",{attrs}"time":"'


def has_short_lines(data: bytes, end: int) -> bool:
    """Whether no line can be as long as LINE_BYTES_MAX: every block of half that size has a newline."""
    return all(data.find(b"\n", start, start + _BLOCK) >= 0 for start in range(0, end, _BLOCK)) or end <= _BLOCK


def _encode_lines(data: bytes, middle: str, first_ns: int) -> tuple[bytes, int]:
    """Lines without their last newline, as records; and the last stamp used."""
    lines = _escape(data)
    lines[0] = _OPENING + lines[0]
    moment, position = divmod(first_ns, 1000)
    position = position // 10 * 9 + position % 10 - 1
    parts: list[str] = []
    used = 0
    while used < len(lines):
        group = lines[used : used + len(_TAILS) - position]
        # Filling slices is what costs least: text, what is between, the stamp's end with the next record's opening.
        records = [middle + _moment(moment)] * (3 * len(group))
        records[::3] = group
        records[2::3] = _TAILS[position : position + len(group)]
        parts += records
        used += len(group)
        moment, position = moment + 1, 0
    tail = parts[-1]
    parts[-1] = tail[: -len(_OPENING)]
    return "".join(parts).encode("latin-1"), (moment - 1) * 1000 + int(tail[:3])


def _moment(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06}"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _escape(data: bytes) -> list[str]:
    """Lines as the insides of Go's JSON strings."""
    stand_ins = []
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if _BAD.encode() in data:
            return _escape_slowly(data)
        text = data.decode("utf-8", _HANDLER)
        stand_ins.append((_BAD.encode(), b"\\ufffd"))
    if _NEWLINE in text:
        return _escape_slowly(data)
    text = text.replace("\n", _NEWLINE)
    for raw, stand_in, escaped in _SHORT:
        if raw in text:
            if stand_in in text:
                return _escape_slowly(data)
            text = text.replace(raw, stand_in)
            stand_ins.append((stand_in.encode(), escaped))
    encoded = msgspec.json.encode(text)
    # Looked for in the text: a search for one character is much quicker than one for three bytes.
    for raw, raw_bytes, escaped in _RAW:
        if raw in text:
            encoded = encoded.replace(raw_bytes, escaped)
    for stand_in_bytes, escaped in stand_ins:
        encoded = encoded.replace(stand_in_bytes, escaped)
    lines = encoded.decode("latin-1").split(_NEWLINE)
    lines[0] = lines[0][1:]  # the quotes around it all
    lines[-1] = lines[-1][:-1]
    return lines


def _escape_slowly(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    return [line.translate(_SLOW).encode().decode("latin-1") for line in text.split("\n")]


def _encode_pieces(data: bytes, middle: str, first_ns: int, rest_ns: int, *, final: bool) -> Encoded:
    """The same for lines that are cut: the parts of one carry the stamp of its first."""
    parts: list[str] = []
    taken = 0
    stamp, last_ns = first_ns, first_ns - 1
    for piece in cut(data, first_ns, rest_ns, final=final):
        stamp = piece.time_ns
        last_ns = max(last_ns, stamp)
        moment, tail = divmod(stamp, 1000)
        closing = middle if piece.ends else middle[2:]
        parts += (_OPENING, *_escape(piece.text), closing, _moment(moment), f'{tail:03}Z"}}\n')
        taken += len(piece.text) + piece.ends
    goes_on = bool(parts) and not piece.ends and not final
    rest_ns = stamp if goes_on else (0 if parts else rest_ns)
    return Encoded("".join(parts).encode("latin-1"), data[taken:], rest_ns, last_ns)


def cut(data: bytes, first_ns: int, rest_ns: int, *, final: bool) -> list[Piece]:
    """Lines in parts of at most LINE_BYTES_MAX; those of one line carry the stamp of its first."""
    pieces = []
    start, stamp = 0, rest_ns or first_ns
    fresh = first_ns if rest_ns else after(first_ns)
    while start < len(data):
        newline = data.find(b"\n", start, start + LINE_BYTES_MAX)
        if newline < 0 and len(data) - start < LINE_BYTES_MAX and not final:
            break
        end = newline if newline >= 0 else min(start + LINE_BYTES_MAX, len(data))
        pieces.append(Piece(data[start:end], newline >= 0, stamp))
        start = end + (newline >= 0)
        if newline >= 0:
            stamp, fresh = fresh, after(fresh)
    return pieces
