"""An answer whose body somebody else writes: the connection's socket goes to a worker, past the loop."""

import asyncio
import socket

from aiohttp import HttpVersion11
from aiohttp.web import StreamResponse

from wherry.api.answers import COMMON_HEADERS
from wherry.api.hijack import Hijacked, take_connection
from wherry.api.routing import Call


async def begin_body(call: Call, headers: dict[str, str]) -> tuple[socket.socket, bool]:
    """Send the head of an answer, and give the socket away with whether its body must be chunked.

    The connection ends with the body. Raises ConnectionError, Conflict when earlier answers are unsent.
    """
    chunked = call.request.version >= HttpVersion11
    client = take_connection(call.request)
    try:
        await asyncio.get_running_loop().sock_sendall(client, _head(headers, chunked=chunked))
    except BaseException:
        client.close()
        raise
    return client, chunked


def _head(headers: dict[str, str], *, chunked: bool) -> bytes:
    framing = {"Transfer-Encoding": "chunked"} if chunked else {}
    said = {**COMMON_HEADERS, **headers, **framing, "Connection": "close"}
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def handed_over() -> StreamResponse:
    """What a route gives back when all was said on the socket."""
    return Hijacked()
