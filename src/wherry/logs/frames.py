"""Log lines as `GET /containers/{id}/logs` sends them: one frame for each, as docker-py's `stream=True` counts on."""

import struct
from collections.abc import Iterable
from urllib.parse import quote_plus

from wherry.logs.driver import LogLine, LogQuery

_HEADER = struct.Struct(">BxxxI")  # stream 1 or 2, length (API, "Stream format" of attach)
_STREAMS = {"stdout": 1, "stderr": 2}


def frames(lines: Iterable[LogLine], query: LogQuery, *, framed: bool = True) -> bytes:
    """A batch as bytes for the client: each line with its 8-byte header, or bare for a container with a terminal.

    `query.timestamps` puts the time before a line, `query.details` its attributes (moby WriteLogStream).
    """
    parts: list[bytes] = []
    pack = _HEADER.pack
    plain = not (query.timestamps or query.details)
    for line in lines:
        data = line.log.encode() if plain else _decorated(line, query)
        if framed:
            parts.append(pack(_STREAMS.get(line.stream, 1), len(data)))
        parts.append(data)
    return b"".join(parts)


def _decorated(line: LogLine, query: LogQuery) -> bytes:
    text = line.log
    if query.details:
        pairs = sorted(line.attrs.items())
        text = ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs) + " " + text
    if query.timestamps:
        text = f"{_nine_digits(line.time)} {text}"
    return text.encode()


def _nine_digits(time: str) -> str:
    """RFC 3339 with exactly nine digits after the point (moby jsonmessage.RFC3339NanoFixed)."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
