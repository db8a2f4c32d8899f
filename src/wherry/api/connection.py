"""HTTP connections with limits: on the size of a head, on the time for the first one, on idleness."""

import asyncio
import logging
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientPayloadError, StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web import BaseRequest, StreamResponse
from aiohttp.web_protocol import RequestHandler

from wherry.api.answers import plain
from wherry.api.shortcuts import Shortcuts

# As those of dockerd (Go net/http).
HEAD_BYTES_MAX = 1024 * 1024
HEADERS_MAX = 500
HEAD_SECONDS = 30.0
IDLE_SECONDS = 3600.0
# Of a body that nobody has read yet: enough that a large one does not stop and go.
BODY_BYTES_AHEAD = 512 * 1024
# After an early refusal: how long to read on, so that the client gets to see the answer.
LINGER_SECONDS = 2.0
# What a stream that waits for news has to tell already goes out to a client that has ended its own half.
HALF_CLOSED_SECONDS = 1.0

TOO_LARGE = "431 Request Header Fields Too Large"
BAD_REQUEST = "400 Bad Request"
NO_HOST = "400 Bad Request: missing required Host header"

_END_OF_HEAD = b"\r\n\r\n"

log = logging.getLogger(__name__)

Handle = Callable[[BaseRequest], Awaitable[StreamResponse]]


class Connection(RequestHandler):
    """One client's connection; closed when its first head does not come in time."""

    _patience: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _asked = 0
    _answered = 0
    _half_closed = False
    _body: StreamReader | None = None
    _held: bytes | None = None
    _follower: asyncio.Task[Any] | None = None
    # How many bytes of a body are still to come; None when it is not known any more where a request ends.
    _missing: int | None = 0
    _parsed_at = 0.0
    # What came last, if that was a whole request with nothing before or behind it.
    lone_head = b""

    def __init__(self, *args: Any, shortcuts: Shortcuts, **kw: Any) -> None:  # noqa: ANN401 - aiohttp's own
        """What `shortcuts` know is not asked of the server."""
        super().__init__(*args, **kw)
        self._shortcuts = shortcuts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        super().connection_made(transport)
        self._parsed_at = asyncio.get_running_loop().time()
        self._patience = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer."""
        self.head_came()
        super().connection_lost(exc)

    def head_came(self) -> None:
        """From now on idleness is limited by `IDLE_SECONDS` only."""
        self._head_bytes = 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def data_received(self, data: bytes) -> None:
        """Take in bytes; refuse a head that grows without end, which the parser limits only line by line."""
        if self._is_answered_at_once(data):
            return
        is_idle, known = self._asked == self._answered, len(self._messages)
        rest, is_held = b"", is_idle and _is_for_the_kernel(data)
        if is_held:
            end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
            data, rest = data[:end], data[end:]
        super().data_received(data)
        self._asked += len(self._messages) - known
        self._note_end(data, 0 if is_held else len(self._messages) - known, is_idle=is_idle)
        if self._messages:
            self._body = self._messages[-1][1]
        elif is_idle and self.transport is not None:
            self._count(len(data), self.transport)
        if is_held:
            self._hold(rest)

    def _is_answered_at_once(self, data: bytes) -> bool:
        """Whether the bytes were a request that needs neither a parser nor a task, and are answered."""
        waiter, transport = self._waiter, self.transport
        if self._missing != 0 or waiter is None or waiter.done() or transport is None or transport.is_closing():
            return False
        # The parser's side knows nothing of what is answered here, and closes what it takes for idle.
        if transport.get_write_buffer_size() or asyncio.get_running_loop().time() > self._parsed_at + IDLE_SECONDS / 2:
            return False
        answer = self._shortcuts.answer(data)
        if answer is None:
            return False
        self.head_came()
        transport.write(answer)
        return True

    def _note_end(self, data: bytes, came: int, *, is_idle: bool) -> None:
        """Follow where requests end, as long as each begins with a piece of its own; `came` is how many these were."""
        if not data and not came:
            return  # aiohttp's own call, when a body is read on
        self._parsed_at = asyncio.get_running_loop().time()
        before, left = self._missing, None
        if before:
            left = before - len(data)
        elif before == 0 and came == 1:
            left = _left(self._messages[-1][0], data)
        self._missing = left if left is not None and left >= 0 else None
        self.lone_head = data if is_idle and before == 0 and left == 0 and data.endswith(_END_OF_HEAD) else b""

    def take_held(self) -> bytes | None:
        """What of a body was read, and not yet given to the parser: the rest is in the socket. None if all went there.

        Whoever takes it takes the socket too.
        """
        held, self._held = self._held, None
        return held

    def _hold(self, rest: bytes) -> None:
        if self._body is not None and not self._body.is_eof() and self.transport is not None:
            self._held = rest
            self.transport.pause_reading()
        elif rest:
            self.data_received(rest)

    def let_go(self) -> None:
        """Nobody took the body: it comes by the parser."""
        held = self.take_held()
        if held is not None and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            if held:
                super().data_received(held)

    def _count(self, more: int, transport: asyncio.Transport) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES_MAX:
            transport.write(f"HTTP/1.1 {TOO_LARGE}\r\nConnection: close\r\n\r\n{TOO_LARGE}".encode())
            self.force_close()

    def eof_received(self) -> bool:  # type: ignore[override] # aiohttp declares less than asyncio calls it for
        """A client that ends its own half gets what it asked for; one that is gone altogether is let go.

        True keeps the connection. A stream that waits for news ends, as dockerd's do.
        """
        if self._asked <= self._answered or _is_gone(self.transport):
            return False
        self._half_closed = True
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(ClientPayloadError("unexpected EOF"))
            self._body.feed_eof()
        self._end_follower()
        return True

    def answered(self) -> None:
        """A request has its answer; after the last one of a client that has ended there is no other to wait for."""
        self.let_go()
        self._answered += 1
        if self._half_closed and self._answered >= self._asked:
            self.close()

    @contextmanager
    def following(self) -> Iterator[None]:
        """For the time of the context the current task only waits for news; it ends with the client's half."""
        self._follower = asyncio.current_task()
        self._end_follower()
        try:
            yield
        finally:
            self._follower = None

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,  # noqa: ARG002 - aiohttp's signature; what it got wrong about a request is all the same
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """What was no HTTP is answered in the words of Go's server. Raises ConnectionError when it is too late."""
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            raise ConnectionError("there is nobody to answer, or an answer is under way") from exc
        if not isinstance(exc, HttpProcessingError):
            log.error("%s %s failed", request.method, request.path, exc_info=exc)
            return plain("500 Internal Server Error")
        self.answered()
        log.debug("A request is no HTTP: %r", exc)
        return plain(_words(exc, message or ""))

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ANN401 - aiohttp's signature
        """What goes wrong on the way is the client's doing when it is in its bytes; the rest is ours."""
        error = kw.get("exc_info")
        # What aiohttp says of a client that closes while the rest of a refused body is read.
        is_gone = isinstance(error, RuntimeError) and str(error) == "Connection closed."
        if is_gone or isinstance(error, ClientPayloadError | HttpProcessingError | ConnectionError):
            log.debug("A request broke off: %s", error)
        else:
            super().log_exception(*args, **kw)

    def _end_follower(self) -> None:
        if self._half_closed and self._follower is not None:
            asyncio.get_running_loop().call_later(HALF_CLOSED_SECONDS, self._cancel, self._follower)

    def _cancel(self, follower: asyncio.Task[Any]) -> None:
        if self._follower is follower:
            follower.cancel()


class Connections(web.Server):
    """All connections; calling it makes the protocol of a new one. A client that leaves cancels its request."""

    def __init__(self, handle: Handle, shortcuts: Shortcuts) -> None:
        """Every request goes to `handle`, but for what `shortcuts` know."""

        async def handle_head(request: BaseRequest) -> StreamResponse:
            connection = request.protocol
            if not isinstance(connection, Connection):
                return await handle(request)
            connection.head_came()
            try:
                return await handle(request)
            finally:
                connection.answered()

        super().__init__(handle_head, handler_cancellation=True)
        self._shortcuts = shortcuts
        self._limits: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": IDLE_SECONDS,
            "lingering_time": LINGER_SECONDS,
            "max_line_size": HEAD_BYTES_MAX,
            "max_field_size": HEAD_BYTES_MAX,
            "max_headers": HEADERS_MAX,
            "auto_decompress": False,
            "read_bufsize": BODY_BYTES_AHEAD,
        }

    def __call__(self) -> RequestHandler:
        """The protocol for one more connection."""
        return Connection(self, loop=asyncio.get_running_loop(), shortcuts=self._shortcuts, **self._limits)


@contextmanager
def following(request: BaseRequest) -> Iterator[None]:
    """For the time of the context the request only waits for news: it ends when its client ends its half."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    with connection.following():
        yield


def _left(message: object, data: bytes) -> int | None:
    """How many bytes of a request are still to come that these begin; less than none if there is more behind it."""
    if not isinstance(message, RawRequestMessage) or message.chunked or message.upgrade:
        return None
    _, end, rest = data.partition(_END_OF_HEAD)
    length = message.headers.get("Content-Length", "0")
    return int(length) - len(rest) if end and length.isdecimal() else None


def _is_for_the_kernel(data: bytes) -> bool:
    """Whether a whole head has come of a request whose body may be large, and goes where no byte of it is looked at."""
    return data.startswith(b"PUT ") and _END_OF_HEAD in data and b"/archive?" in data[: data.find(b"\n")]


def _words(error: HttpProcessingError, message: str) -> str:
    if isinstance(error, LineTooLong) or message.startswith("Too many headers"):
        return TOO_LARGE
    return NO_HOST if message.startswith("Missing 'Host'") else BAD_REQUEST


def _is_gone(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the client has closed, not just ended its half. Over TCP that shows only when it is written to."""
    connection: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    if connection is None or connection.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
