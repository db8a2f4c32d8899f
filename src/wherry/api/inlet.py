"""A request's body, read past the HTTP server: by the kernel from the connection's socket into a pipe where it can.

A thread does it for as long as it takes, so that neither side's pace matters to the loop. Framing is as RFC 9112
sections 6.2 and 7.1 have it; what is wrong with it is told in the words of Go's reader of chunks.
"""

import asyncio
import errno
import os
import select
import socket
import string
from collections.abc import Callable, Coroutine
from contextlib import suppress
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

_LINE_BYTES_MAX = 4096
_CHUNK_DIGITS_MAX = 16
_PIECE = 1 << 18
_SPLICE_BYTES_MIN = 1 << 17
_SPLICE_BYTES_MAX = 1 << 30
_PIECES_MAX = 512
_HEX_DIGITS = frozenset(string.hexdigits)
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_EOF = "unexpected EOF"


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
            await inlet.end(nothing(200))


class Inlet:
    """Of a connection that is ours alone; a context, which closes it.

    `rest` is what of the body was read already, `length` how many bytes there are in all, None for chunks.
    """

    def __init__(self, client: socket.socket, rest: bytes, length: int | None) -> None:
        self._client = client
        self._rest = rest
        self._at = 0
        # How far to read with a line: not far before what the kernel can move.
        self._ahead = _LINE_BYTES_MAX
        self._chunked = length is None
        self._left = length or 0  # of the body, or of the chunk
        self._is_first_chunk = True
        self._is_over = length == 0
        self._begun = b""
        self._stop = os.eventfd(0)
        self._splices = True

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

    async def end(self, response: Response) -> None:
        """Answer, and let the client read that: what it still sends is taken for a moment."""
        loop = asyncio.get_running_loop()
        body = response.body if isinstance(response.body, bytes) else b""
        said = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in said.items())]
        try:
            await loop.sock_sendall(self._client, "\r\n".join([*lines, "", ""]).encode() + body)
            if not self._is_over:
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
        finally:
            os.eventfd_write(self._stop, 1)
            await asyncio.wait([doing])
            os.eventfd_read(self._stop)
            if doing.done() and not doing.cancelled():
                doing.exception()

    def _begin(self, size: int) -> None:
        while len(self._begun) < size and self._goes_on():
            self._begun += self._take()

    def _pour(self, out: int) -> None:
        self._write(out, [memoryview(self._begun)])
        while self._goes_on():
            if self._left >= _SPLICE_BYTES_MIN and not self._buffered and self._splices:
                self._splice(out)
                continue
            # Small chunks together: each by itself would cost more than its bytes.
            pieces = [self._take()]
            while self._is_known() and self._goes_on() and self._buffered:
                pieces.append(self._take())
            self._write(out, pieces)

    def _goes_on(self) -> bool:
        """Whether there is more of it; then `_left` says how much at least."""
        if not self._left and not self._is_over:
            self._left = self._chunk_size() if self._chunked else 0
            self._is_over = not self._left
            if self._is_over and self._chunked:
                self._skip_trailers()
        return not self._is_over

    @property
    def _buffered(self) -> int:
        return len(self._rest) - self._at

    def _is_known(self) -> bool:
        """Whether what comes next can be told without reading on."""
        return bool(self._left) or self._rest.find(b"\n", self._rest.find(b"\n", self._at) + 1) > self._at

    def _take(self) -> memoryview:
        if not self._buffered:
            self._rest, self._at = self._receive(_PIECE), 0
        end = min(self._at + self._left, len(self._rest))
        piece = memoryview(self._rest)[self._at : end]
        self._at = end
        self._left -= len(piece)
        return piece

    def _splice(self, out: int) -> None:
        try:
            moved = os.splice(self._client.fileno(), out, min(self._left, _SPLICE_BYTES_MAX), flags=_SPLICE)
        except BlockingIOError:
            self._wait(self._client.fileno(), select.POLLIN)
            self._wait(out, select.POLLOUT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._splices = False  # no pipe
        else:
            if not moved:
                raise InvalidParameter(_EOF)
            self._left -= moved

    def _chunk_size(self) -> int:
        if not self._is_first_chunk and self._line():
            raise InvalidParameter("malformed chunked encoding")
        self._is_first_chunk = False
        digits = self._line().partition(b";")[0].strip().decode("latin-1")
        if len(digits) > _CHUNK_DIGITS_MAX:
            raise InvalidParameter("http chunk length too large")
        if not digits or not set(digits) <= _HEX_DIGITS:
            raise InvalidParameter("invalid byte in chunk length")
        size = int(digits, 16)
        self._ahead = _LINE_BYTES_MAX if size >= _SPLICE_BYTES_MIN else _PIECE
        return size

    def _skip_trailers(self) -> None:
        while self._line():
            pass

    def _line(self) -> bytes:
        """A line without its end."""
        while (end := self._rest.find(b"\n", self._at)) < 0:
            if self._buffered > _LINE_BYTES_MAX:
                raise InvalidParameter("malformed chunked encoding")
            self._rest, self._at = self._rest[self._at :] + self._receive(self._ahead), 0
        line = self._rest[self._at : end]
        self._at = end + 1
        return line.removesuffix(b"\r")

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
                raise InvalidParameter(_EOF)
            return data

    def _write(self, out: int, pieces: list[memoryview]) -> None:
        while pieces:
            try:
                done = os.writev(out, pieces[:_PIECES_MAX])
            except BlockingIOError:
                self._wait(out, select.POLLOUT)
                continue
            while pieces and done >= len(pieces[0]):
                done -= len(pieces.pop(0))
            if pieces:
                pieces[0] = pieces[0][done:]

    def _wait(self, fd: int, events: int) -> None:
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._stop, select.POLLIN)
        if any(ready == self._stop for ready, _ in poll.poll()):
            raise _Stopped
