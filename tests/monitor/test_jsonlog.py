"""Records are what dockerd writes, at any cut of the input, whatever the bytes are."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.monitor.jsonlog import LINE_BYTES_MAX, after, encode

NOW = 1_700_000_000_123_456_789


def go_string(data: bytes) -> str:
    """The inside of a JSON string as Go's encoder of dockerd has it (jsonlog.go), the plain way."""
    text = data.decode("utf-8", "surrogateescape")
    out = []
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character == "\n":
            out.append("\\n")
        elif character == "\r":
            out.append("\\r")
        elif 0xDC80 <= ord(character) < 0xDD00:
            out.append("\\ufffd")
        elif ord(character) < 32 or character in "<>&\u2028\u2029":
            out.append(f"\\u{ord(character):04x}")
        else:
            out.append(character)
    return "".join(out)


def plainly(data: bytes, stamps) -> bytes:
    records = []
    for line in data.splitlines(keepends=True) if b"\r" not in data else split(data):
        pieces = [line[at : at + LINE_BYTES_MAX] for at in range(0, len(line.rstrip(b"\n")) + 1, LINE_BYTES_MAX)]
        rest = b"".join(pieces)
        assert rest == line or rest + b"\n" == line
        stamp = next(stamps)
        body = line.removesuffix(b"\n")
        for at in range(0, len(body) + 1, LINE_BYTES_MAX):
            piece = body[at : at + LINE_BYTES_MAX]
            ends = at + LINE_BYTES_MAX > len(body)
            text = go_string(piece) + ("\\n" if ends else "")
            records.append(f'{{"log":"{text}","stream":"stdout","time":"{stamp}"}}\n'.encode())
    return b"".join(records)


def split(data):
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def times(records: bytes):
    return [json.loads(line)["time"] for line in records.splitlines()]


def encode_in_cuts(data: bytes, cuts) -> bytes:
    rest, rest_ns, last, out, at = b"", 0, NOW, b"", 0
    for cut in [*cuts, len(data)]:
        done = encode(rest + data[at:cut], stream="stdout", first_ns=after(last), rest_ns=rest_ns)
        rest, rest_ns, last, at = done.rest, done.rest_ns, max(last, done.last_ns), cut
        out += done.records
        assert len(rest) < LINE_BYTES_MAX
    assert rest == b""
    return out


SPICES = [
    b"\t",
    b"\x7f",
    b"<&>",
    b"\\t",
    b'"',
    b"\xe2\x80\xa8",
    b"\xff\xfe",
    b"\xe2\x82",
    b"\xc2\x81",
    b"\xc2\x84",
    "\ufffd".encode(),
    b"\x08\x0c",
    b"\r",
    b"\x1b[0m",
    "ü€😀".encode(),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SPICES, b"word ", b"\n", b"\n", b"x" * 9000, b"y" * 20_000]), max_size=30), st.data())
def test_any_bytes_at_any_cut(parts, draw):
    data = b"".join(parts) + b"\n"
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    records = encode_in_cuts(data, cuts)
    seen = times(records)
    by_line = [time for time, line in zip(seen, records.splitlines(), strict=True) if b'\\n","stream"' in line]
    assert by_line == sorted(set(by_line))
    assert records == plainly(data, iter(by_line))


@pytest.mark.parametrize("length", [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 3 * LINE_BYTES_MAX])
def test_long_lines_are_cut_where_dockerd_cuts(length):
    data = b"short\n" + b"z" * length + b"\n" + b"short\n"
    records = encode(data, stream="stderr", first_ns=NOW).records
    lengths = [len(json.loads(line)["log"]) for line in records.splitlines()]
    whole, left = divmod(length, LINE_BYTES_MAX)
    assert lengths == [6, *[LINE_BYTES_MAX] * whole, left + 1, 6]


def test_the_parts_of_a_line_have_one_time_and_lines_have_their_own():
    data = b"a" * (2 * LINE_BYTES_MAX + 5) + b"\nb\nc\n"
    seen = times(encode(data, stream="stdout", first_ns=NOW).records)
    assert len(set(seen)) == 3
    assert seen[0] == seen[1] == seen[2]


def test_thousands_of_lines_have_times_that_rise_and_end_in_no_zero():
    seen = times(encode(b"x\n" * 5000, stream="stdout", first_ns=NOW).records)
    assert seen == sorted(seen)
    assert len(set(seen)) == 5000
    assert not any(time.endswith("0Z") for time in seen)
    assert seen[0] == "2023-11-14T22:13:20.123456789Z"


def test_the_last_line_may_have_no_newline():
    done = encode(b"prompt> ", stream="stdout", first_ns=NOW)
    assert done.records == b""
    done = encode(done.rest, stream="stdout", first_ns=NOW, final=True)
    assert json.loads(done.records)["log"] == "prompt> "


def test_attributes_stand_between_stream_and_time():
    record = encode(b"x\n", stream="stdout", first_ns=NOW, attributes=b'{"a":"b"}').records
    assert record.startswith(b'{"log":"x\\n","stream":"stdout","attrs":{"a":"b"},"time":')


def test_the_same_input_gives_the_same_bytes():
    data = random.Random(1).randbytes(100_000)
    assert encode(data, stream="stdout", first_ns=NOW) == encode(data, stream="stdout", first_ns=NOW)
