"""A connection that stops being HTTP: its socket leaves the server and goes to whoever moves the bytes."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, StreamResponse

from wherry.api.answers import COMMON_HEADERS
from wherry.api.routing import Call
from wherry.model.errors import Conflict, EngineError

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

STDOUT = 1

# Takes the socket over: it owns and closes it, also when it fails.
Takeover = Callable[[socket.socket], Awaitable[None]]


class Hijacked(StreamResponse):
    """What a route gives back when there is no connection left to answer on."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's signature
        """Say nothing: the head went out already."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Say nothing."""


async def hijack(call: Call, takeover: Takeover, *, content_type: str, framed: bool) -> StreamResponse:
    """Answer with an upgrade and give the connection's socket away.

    An EngineError of `takeover` reaches the client as text on its stream, framed when the stream is; that is
    where dockerd puts it. What a client sends before it has read the head is lost, as with dockerd.
    Raises Conflict when earlier answers are still unsent.
    """
    head = _head(content_type, upgrade="upgrade" in call.request.headers.get("Connection", "").lower())
    client = take_connection(call.request)
    # The server sees its connection end now and cancels this route, but not a verb.
    await call.verbs.run(_give(client, head, takeover, framed=framed))
    return Hijacked()


def take_connection(request: BaseRequest) -> socket.socket:
    """A descriptor of the connection for us alone; the server's own is closed without touching the stream."""
    transport = request.transport
    if not isinstance(transport, asyncio.Transport) or transport.is_closing():
        raise ConnectionAbortedError("the client has gone")
    if transport.get_write_buffer_size():
        raise Conflict("cannot take over a connection with unsent answers")
    transport.pause_reading()
    client = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    # Without this the object believes that it blocks, and a dup() of it would make that true of all its copies.
    client.setblocking(False)
    # abort() closes the server's descriptor only: no shutdown(2), and so the stream lives on in ours.
    transport.abort()
    return client


async def _give(client: socket.socket, head: bytes, takeover: Takeover, *, framed: bool) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(client, head)
        spare = client.dup()
    except OSError:
        client.close()
        return
    with spare:
        try:
            await takeover(client)
        except EngineError as error:
            await _tell(spare, str(error), framed=framed)


def _head(content_type: str, *, upgrade: bool) -> bytes:
    lines = ["HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK", f"Content-Type: {content_type}"]
    if upgrade:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    lines += [f"{name}: {value}" for name, value in COMMON_HEADERS.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _tell(client: socket.socket, message: str, *, framed: bool) -> None:
    """An error as a line of output, for a client that reads a stream and no longer HTTP."""
    line = f"{message}\r\n".encode()
    frame = bytes((STDOUT, 0, 0, 0)) + len(line).to_bytes(4, "big") + line
    try:
        await asyncio.get_running_loop().sock_sendall(client, frame if framed else line)
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
