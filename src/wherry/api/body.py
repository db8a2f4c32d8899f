"""A request's body: JSON of bounded size as a record, or a stream of bytes."""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aiohttp import ClientPayloadError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import BaseRequest
from msgspec import Struct

from wherry.api.connection import Connection
from wherry.api.shape import shape
from wherry.api.syntax import Json, parse
from wherry.api.target import expects
from wherry.model.errors import EngineError, InvalidParameter

JSON_BYTES_MAX = 4 * 1024 * 1024
# Room for `{}`, `null` and some white space (moby postContainersStart).
EMPTY_BODY_BYTES_MAX = 7

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

T = TypeVar("T", bound=Struct)

log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(
    r"""\s*;\s*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*"))?"""
)


class TooLarge(EngineError):
    """A body that is larger than any sensible request of its kind."""

    status = 413


async def read_json(request: BaseRequest, kind: type[T], *, root: str) -> T:
    """The body as a record; one without fields when there is no body. Raises InvalidParameter, TooLarge.

    `root` is Go's name of the record in messages about wrong types.
    """
    data = await read_bytes(request)
    return shape(parse(data), kind, root=root) if data else shape(None, kind)


async def read_required_json(request: BaseRequest) -> Json:
    """The body as a decoded value. Raises InvalidParameter, also when there is none, and TooLarge."""
    return parse(await read_bytes(request))


async def read_bytes(request: BaseRequest) -> bytes:
    """The whole body, which must say that it is JSON. Raises InvalidParameter, TooLarge."""
    _require_json_type(request)
    body = bytearray()
    with _read_to_the_end("invalid JSON: "):
        async for chunk in _chunks(request):
            body += chunk
            if len(body) > JSON_BYTES_MAX:
                raise TooLarge(f"the request's body is larger than {JSON_BYTES_MAX} bytes")
    return bytes(body)


def require_no_body(request: BaseRequest) -> None:
    """An empty object at most, as dockerd allows when a container is started. Raises InvalidParameter."""
    length = request.content_length
    if request.body_exists and (length is None or length > EMPTY_BODY_BYTES_MAX):
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )


async def stream(request: BaseRequest) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces of any size. Raises InvalidParameter when it breaks off."""
    with _read_to_the_end():
        async for chunk in _chunks(request):
            yield chunk


async def _chunks(request: BaseRequest) -> AsyncIterator[bytes]:
    """Tell a client that waits for it to go on with its body (RFC 9110 section 10.1.1), and read."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.let_go()
    if expects(request) and request.body_exists and request.transport is not None and request.content.total_bytes == 0:
        request.transport.write(CONTINUE)
    # As they come: to put them into pieces of one size would copy them once more.
    async for chunk in request.content.iter_any():
        yield chunk


@contextmanager
def _read_to_the_end(prefix: str = "") -> Iterator[None]:
    """What breaks off or is framed wrongly is the client's mistake."""
    try:
        yield
    except ClientPayloadError:
        raise InvalidParameter(f"{prefix}unexpected EOF") from None
    except HttpProcessingError as error:
        log.debug("A body is framed wrongly: %s", error)
        raise InvalidParameter(f"{prefix}{_framing(error)}") from None


def _framing(error: HttpProcessingError) -> str:
    """In the words of Go's reader of chunks."""
    words = error.message.lower()
    if "overflow" in words:
        return "http chunk length too large"
    return "invalid byte in chunk length" if "chunk size" in words else "malformed chunked encoding"


def _require_json_type(request: BaseRequest) -> None:
    said = request.headers.get("Content-Type", "")
    if not said and not request.body_exists:
        return
    media_type = _media_type(said)
    if media_type != "application/json":
        raise InvalidParameter(f"unsupported Content-Type header ({said}): must be 'application/json'")


def _media_type(said: str) -> str:
    """The type without its parameters, in small letters. Raises InvalidParameter in the words of Go's mime."""
    base, _, _ = said.partition(";")
    kind, slash, subtype = base.strip().partition("/")
    token = _TOKEN.match(kind)
    if token is None:
        raise _malformed(said, "no media type")
    if token.group() != kind or (slash and _TOKEN.fullmatch(subtype) is None):
        raise _malformed(
            said, "expected slash after first token" if token.group() != kind else "expected token after slash"
        )
    if not _parameters_are_right(said[len(base) :]):
        raise _malformed(said, "invalid media parameter")
    return base.strip().lower()


def _parameters_are_right(text: str) -> bool:
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None or match.end() == position:
            return not text[position:].strip()
        position = match.end()
    return True


def _malformed(said: str, why: str) -> InvalidParameter:
    return InvalidParameter(f"malformed Content-Type header ({said}): mime: {why}")
