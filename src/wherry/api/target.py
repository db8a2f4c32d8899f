"""What a request must be before a route is looked for: HTTP/1, framed as we know it, its target readable."""

import re
from urllib.parse import unquote

from aiohttp.web import BaseRequest

from wherry.model.errors import EngineError

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")


class NotServable(EngineError):
    """A request that no server of HTTP/1 should take for one. Its text is all that is answered (Go net/http)."""

    status = 400


class OtherVersion(NotServable):
    """A major version of HTTP other than 1."""

    status = 505


class OtherEncoding(NotServable):
    """A transfer encoding other than `chunked`."""

    status = 501


class OtherExpectation(NotServable):
    """An expectation other than `100-continue`."""

    status = 417


def check(request: BaseRequest) -> None:
    """Raises NotServable for what the parser lets through and Go's server does not."""
    major = request.version.major
    if major > 1:
        raise OtherVersion("505 HTTP Version Not Supported: unsupported protocol version")
    if major < 1:
        raise NotServable("400 Bad Request")
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise OtherEncoding("Unsupported transfer encoding")
    if expects(request) not in {"", "100-continue"}:
        raise OtherExpectation("417 Expectation Failed")


def expects(request: BaseRequest) -> str:
    """What a client waits for before it sends its body."""
    return request.headers.get("Expect", "").lower()


def split(raw: str) -> tuple[str, str]:
    """A target's path, percent-decoded, and its query as it stands. Raises NotServable.

    A target may name the server too, as requests to proxies do (RFC 9112 section 3.2.2).
    """
    absolute = _ABSOLUTE.match(raw)
    path, _, query = (raw[absolute.end() :] if absolute else raw).partition("?")
    if bad_escape(path):
        raise NotServable("400 Bad Request")
    return unquote(path, errors="replace"), query


def bad_escape(text: str) -> str:
    """The first percent sign that is no escape, with what follows it; empty when there is none."""
    found = _BAD_ESCAPE.search(text)
    return found.group() if found else ""
