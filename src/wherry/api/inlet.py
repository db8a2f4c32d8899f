"""A request's body, read past the HTTP server: by whoever is given the connection, or by a thread.

The thread takes as long as it takes, so that neither side's pace matters to the loop.
"""

import asyncio
import os
import select
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self

from aiohttp import HttpVersion11
from aiohttp.web import Response

from wherry.api.answers import failure, nothing
from wherry.api.body import CONTINUE
from wherry.api.connection import LINGER_SECONDS, Connection
from wherry.api.hijack import take_connection
from wherry.api.routing import Call
from wherry.api.target import expects
from wherry.engine.aside import aside
from wherry.model.errors import InvalidParameter
from wherry.storage.framing import UNEXPECTED_EOF, FramedBody, FramingError, drop
from wherry.storage.visits import Unread

_PIECE = 1 << 18
_PIECES_MAX = 512


class _Stopped(Exception):
    """Nobody waits for it any more."""


def take_body(call: Call) -> "Inlet | None":
    """The body of a request whose connection has held it back, and the connection with it; None: read it as any other.

    Raises Conflict when earlier answers are unsent.
    """
    request, connection = call.request, call.request.protocol
    if not isinstance(connection, Connection) or request.version != HttpVersion11:
        return None
    length, coding = request.headers.get("Content-Length"), request.headers.get("Transfer-Encoding", "")
    if (length is None) == (not coding) or (coding and coding.lower() != "chunked"):
        return None
    rest = connection.take_held()
    if rest is None:
        return None
    client = take_connection(request)
    if expects(request):
        with suppress(ConnectionError):  # whoever has gone sends nothing, which is told
            client.send(CONTINUE)
    return Inlet(client, rest, None if length is None else int(length))


async def answering(call: Call, inlet: "Inlet", verb: Coroutine[Any, Any, None]) -> None:
    """Run a verb that reads the body, and say on its connection what became of it."""
    with inlet:
        try:
            await verb
        except Exception as error:  # noqa: BLE001 - one request's fault, never the daemon's end
            await inlet.end(failure(call.request, error))
        else:
            await inlet.end(nothing(HTTPStatus.OK))


class Inlet:
    """Of a connection that is ours alone; a context, which closes it. See engine.unwrapping.Body.

    `rest` is what of the body was read already, `length` how many bytes there are in all, None for chunks.
    """

    def __init__(self, client: socket.socket, rest: bytes, length: int | None) -> None:
        self._client = client
        self._body = FramedBody(self._receive, rest, length)
        self._length = length
        # What of it was read, as it came, for as long as somebody else may begin anew.
        self._already: list[bytes] | None = [rest]
        self._begun = b""
        self._stop = os.eventfd(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop)
        self._client.close()

    async def first(self, size: int) -> bytes:
        """Its first bytes, at least so many unless it has fewer. Raises InvalidParameter."""
        await self._beside(self._begin, size)
        return self._begun

    async def pour(self, out: int) -> None:
        """Write all of it to a pipe or a socket. Raises InvalidParameter, BrokenPipeError, OSError."""
        os.set_blocking(out, False)
        await self._beside(self._pour, out)

    def release(self) -> Unread:
        """The connection, which blocks until `end`. Not after `pour`."""
        assert self._already is not None
        self._client.setblocking(True)
        return Unread(self._client, b"".join(self._already), self._length)

    async def end(self, response: Response) -> None:
        """Answer, and let the client read that: what it still sends is taken for a moment."""
        loop = asyncio.get_running_loop()
        self._client.setblocking(False)
        body = response.body if isinstance(response.body, bytes) else b""
        said = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in said.items())]
        try:
            await loop.sock_sendall(self._client, "\r\n".join([*lines, "", ""]).encode() + body)
            if response.status != HTTPStatus.OK and not self._body.is_over:
                self._client.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(LINGER_SECONDS):
                    while await loop.sock_recv(self._client, _PIECE):
                        pass
        except (OSError, TimeoutError):
            return

    async def _beside(self, work: Callable[[int], None], argument: int) -> None:
        """In a thread, which is stopped when this is cancelled."""
        doing = aside(lambda: work(argument))
        try:
            await asyncio.shield(doing)
        except FramingError as error:
            raise InvalidParameter(str(error)) from None
        finally:
            os.eventfd_write(self._stop, 1)
            await asyncio.wait([doing])
            os.eventfd_read(self._stop)
            if doing.done() and not doing.cancelled():
                doing.exception()

    def _begin(self, size: int) -> None:
        while len(self._begun) < size and self._body.goes_on():
            self._begun += self._body.take(_PIECE)

    def _pour(self, out: int) -> None:
        self._already = None
        self._write(out, [memoryview(self._begun)])
        while self._body.goes_on():
            self._write(out, self._body.take_many(_PIECE))

    def _receive(self, size: int) -> bytes:
        while True:
            try:
                data = self._client.recv(size)
            except BlockingIOError:
                self._wait(self._client.fileno(), select.POLLIN)
                continue
            except ConnectionError:
                data = b""
            if not data:
                raise FramingError(UNEXPECTED_EOF)
            if self._already is not None:
                self._already.append(data)
            return data

    def _write(self, out: int, pieces: list[memoryview]) -> None:
        while pieces:
            try:
                done = os.writev(out, pieces[:_PIECES_MAX])
            except BlockingIOError:
                self._wait(out, select.POLLOUT)
                continue
            drop(pieces, done)

    def _wait(self, fd: int, events: int) -> None:
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._stop, select.POLLIN)
        if any(ready == self._stop for ready, _ in poll.poll()):
            raise _Stopped
