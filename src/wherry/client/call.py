"""A request to the Engine API as a value: what to send, not how."""

from __future__ import annotations

from wherry.jsontext import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Query = Mapping[str, object]
    Body = bytes | Iterable[bytes] | None

# RFC 3986's unreserved letters; everything else is escaped.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Call:
    """Method, path below the version, query, headers and body of one request.

    `body` is whole bytes or an iterable of pieces, which are sent chunked.
    """

    __slots__ = ("body", "headers", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query_string(query or {})
        self.headers = dict(headers or {})
        self.body: Body = body
        if json is not None:
            self.headers["Content-Type"] = "application/json"
            self.body = encode(json).encode()

    @property
    def target(self) -> str:
        """Path and query, without the API's version."""
        return f"{self.path}?{self.query}" if self.query else self.path


def escape(text: str, keep: bytes = b"") -> str:
    """`text` percent-escaped for one path segment or query value; letters in `keep` stay."""
    return "".join([chr(byte) if byte in _PLAIN or byte in keep else f"%{byte:02X}" for byte in text.encode()])


def query_string(query: Query) -> str:
    """The query, without values that say nothing (None, False, "" and empty lists); True is 1."""
    pairs: list[str] = []
    for name, value in query.items():
        if value is True:
            pairs.append(f"{name}=1")
        elif isinstance(value, list):
            pairs.extend([f"{name}={escape(item)}" for item in value])
        elif value is not False and value not in (None, ""):
            pairs.append(f"{name}={escape(str(value))}")
    return "&".join(pairs)


def filters(wanted: Mapping[str, Iterable[str]] | None) -> str | None:
    """Filters in the wire's form, `{"status":{"running":true}}`; None for no filter."""
    if not wanted:
        return None
    return encode({name: dict.fromkeys(values, True) for name, values in wanted.items()})
