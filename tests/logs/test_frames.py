"""What clients get for a line: a frame of its own, a time of nine digits, attributes as dockerd orders them."""

from wherry.logs.driver import LogLine, LogQuery
from wherry.logs.frames import frames

OUT = LogLine(log="hello\n", stream="stdout", time="2026-01-01T00:00:00.12Z", attrs={"b": "x y", "a": "1,2"})
ERR = LogLine(log="ü", stream="stderr", time="2026-01-01T00:00:00Z")


def test_each_line_has_a_frame_of_its_own():
    assert frames([OUT, ERR], LogQuery()) == b"\x01\0\0\0\0\0\0\x06hello\n\x02\0\0\0\0\0\0\x02\xc3\xbc"


def test_frames_say_the_length_of_lines_of_any_length():
    lines = [LogLine(log="x" * length, stream="stderr") for length in (0, 1, 127, 128, 255, 256, 16384, 128)]
    wanted = b"".join(b"\x02\0\0\0" + len(line.log).to_bytes(4, "big") + line.text for line in lines)
    assert frames(lines, LogQuery()) == wanted


def test_a_terminals_lines_are_bare():
    assert frames([OUT, ERR], LogQuery(), framed=False) == b"hello\n\xc3\xbc"


def test_times_have_nine_digits():
    assert frames([OUT], LogQuery(timestamps=True), framed=False) == b"2026-01-01T00:00:00.120000000Z hello\n"
    assert frames([ERR], LogQuery(timestamps=True), framed=False) == b"2026-01-01T00:00:00.000000000Z \xc3\xbc"


def test_details_are_sorted_and_quoted():
    assert frames([OUT], LogQuery(details=True), framed=False) == b"a=1%2C2,b=x+y hello\n"
    both = LogQuery(details=True, timestamps=True)
    assert frames([OUT], both, framed=False) == b"2026-01-01T00:00:00.120000000Z a=1%2C2,b=x+y hello\n"
