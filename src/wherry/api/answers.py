"""Answers: JSON, nothing, errors, and streams that grow while the client reads."""

import errno
import json
import logging
import os
import re
from collections.abc import AsyncIterable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp.web import BaseRequest, Response, StreamResponse

from wherry import __version__
from wherry.api.target import NotServable
from wherry.api.versions import NEWEST, TooOld
from wherry.model.errors import EngineError, NotModified

log = logging.getLogger(__name__)

INTERNAL_ERROR = "internal error; the daemon's log has the details"
# Faults of the disk are the user's to mend, so he is told of them, as by dockerd.
FAULTS_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
JSON_TYPE = "application/json"

# Go's encoder writes these as escapes, because JSON may end up inside HTML.
_HTML = ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))

_SURROGATE = re.compile("[\ud800-\udfff]")

# Every answer carries these; clients negotiate by them.
COMMON_HEADERS = {
    "Api-Version": str(NEWEST),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Wherry/{__version__} (linux)",
}

Wire = dict[str, Any] | list[Any] | None


def encode(value: Wire) -> bytes:
    """JSON as Go's encoder writes it, with a line's end."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:
        # A client's header or a file's name may hold bytes that are no text: U+FFFD, as in Go.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        data = _SURROGATE.sub("\ufffd", text).encode()
    for character, escape in _HTML:
        if character in data:
            data = data.replace(character, escape)
    return data + b"\n"


def failure(request: BaseRequest, error: Exception) -> Response:
    """What went wrong; what no client is to blame for is logged as well."""
    if isinstance(error, EngineError):
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("Handler for %s %s returned error: %s", request.method, request.raw_path, error)
        return refusal(error)
    log.error("%s %s failed", request.method, request.raw_path, exc_info=error)
    return answer({"message": words_for(error)}, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def answer(value: Wire, *, status: int = 200) -> Response:
    """A value as JSON."""
    return answer_encoded(encode(value), status=status)


def answer_encoded(data: bytes, *, status: int = 200) -> Response:
    """What `encode` made."""
    return Response(body=data, status=status, headers={**COMMON_HEADERS, "Content-Type": JSON_TYPE})


def nothing(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status=status, headers=COMMON_HEADERS)


def plain(words: str, *, status: int = 0) -> Response:
    """Words for who speaks no HTTP, or another one; unless said, they begin with the status. Ends the connection."""
    response = Response(text=words, status=status or int(words[:3]), headers=COMMON_HEADERS)
    response.force_close()
    return response


def refusal(error: EngineError) -> Response:
    """An error as its status and `{"message": …}`."""
    if isinstance(error, NotModified):
        return nothing(error.status)
    if isinstance(error, TooOld):
        return Response(text=f"{error}\n", status=error.status, headers=COMMON_HEADERS)
    if isinstance(error, NotServable):
        return plain(str(error), status=error.status)
    return answer({"message": str(error)}, status=error.status)


async def send(request: BaseRequest, chunks: AsyncIterable[bytes], *, content_type: str) -> StreamResponse:
    """Bytes as they come. The head goes out at once, so that a client knows that it is being served."""
    response = StreamResponse(headers={**COMMON_HEADERS, "Content-Type": content_type})
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for chunk in chunks:
        await response.write(chunk)
    await response.write_eof()
    return response


async def send_lines(request: BaseRequest, values: AsyncIterable[Wire]) -> StreamResponse:
    """JSON values, one a line. An error after the first byte becomes a last line, as dockerd's progress has it."""
    return await send(request, _lines(values), content_type=JSON_TYPE)


async def _lines(values: AsyncIterable[Wire]) -> AsyncIterable[bytes]:
    try:
        async for value in values:
            yield encode(value)
    except EngineError as error:
        yield encode(error_line(str(error)))
    except Exception as error:
        # The status is long sent: the client learns of it by a last line, the log by its stack.
        log.exception("A stream ended in an error")
        yield encode(error_line(words_for(error)))


def words_for(error: Exception) -> str:
    """What a client reads of an error that no verb foresaw: of a fault of the disk what it is, of others nothing."""
    if isinstance(error, OSError) and error.errno in FAULTS_OF_DISKS:
        fault = os.strerror(error.errno).lower()
        return f"write {error.filename}: {fault}" if error.filename else fault
    return INTERNAL_ERROR


def error_line(message: str) -> dict[str, Any]:
    """An error as the last line of a stream of progress."""
    return {"errorDetail": {"message": message}, "error": message}
