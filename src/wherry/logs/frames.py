"""Log lines as `GET /containers/{id}/logs` sends them: one frame for each, as docker-py's `stream=True` counts on."""

import struct
from collections.abc import Sequence
from urllib.parse import quote_plus

from wherry.logs.driver import LogLine, LogQuery, LogText

_HEADER = struct.Struct(">BxxxI")  # stream 1 or 2, length (API, "Stream format" of attach)
_LENGTH = len("2006-01-02T15:04:05.999999999Z")
_STREAMS = {"stdout": 1, "stderr": 2}


def frames(lines: Sequence[LogText], query: LogQuery, *, framed: bool = True) -> bytes:
    """A batch as bytes for the client: each line with its 8-byte header, or bare for a container with a terminal.

    `query.timestamps` puts the time before a line, `query.details` its attributes (moby WriteLogStream).
    """
    texts = [line.log for line in lines] if query.is_plain else [_decorated(line, query) for line in lines]
    if not framed:
        return "".join(texts).encode(errors="surrogateescape")
    streams = {line.stream for line in lines}
    if len(streams) == 1 and "".join(texts).isascii():
        return _frames_alike(texts, streams.pop())
    parts: list[bytes] = []
    for line, text in zip(lines, texts, strict=True):
        data = text.encode(errors="surrogateescape")
        parts += (_header(line.stream, len(data)), data)
    return b"".join(parts)


def _frames_alike(texts: list[str], stream: str) -> bytes:
    """Frames of ASCII lines of one stream, quickly: characters are bytes, and lengths repeat."""
    lengths = [len(text) for text in texts]
    headers = {length: _header(stream, length).decode("latin-1") for length in set(lengths)}
    parts = texts * 2
    parts[::2] = [headers[length] for length in lengths]
    parts[1::2] = texts
    return "".join(parts).encode("latin-1")


def _header(stream: str, length: int) -> bytes:
    return _HEADER.pack(_STREAMS.get(stream, 1), length)


def _decorated(line: LogText, query: LogQuery) -> str:
    assert isinstance(line, LogLine), "a reader left out what was asked for"
    text = line.log
    if query.details:
        pairs = sorted(line.attrs.items())
        text = ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs) + " " + text
    if query.timestamps:
        text = f"{_nine_digits(line.time)} {text}"
    return text


def _nine_digits(time: str) -> str:
    """RFC 3339 with exactly nine digits after the point (moby jsonmessage.RFC3339NanoFixed)."""
    if len(time) == _LENGTH:
        return time
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
