"""The asynchronous twin of `client.py`: the same calls over the same connections, waiting in an asyncio loop.

Cancelling whoever waits for an answer closes its connection; nothing else has to be cleaned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from wherry.client.address import Address, Tls
from wherry.client.call import Call
from wherry.client.client import (
    LINE_BYTES_MAX,
    VERSION_NEWEST,
    broken,
    headers_of,
    message_of,
    negotiate,
    parsed,
)
from wherry.client.dial import Wire, dial
from wherry.client.errors import ProtocolError, api_error
from wherry.client.http import Head, Reader, chunked, request_head
from wherry.client.tls import TlsWire
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.call import Body

PIECE = 65536


class AsyncWire:
    """A connection whose waiting is the loop's. One task reads, one writes."""

    def __init__(self, wire: Wire | TlsWire) -> None:
        """Take over `wire`."""
        self._wire = wire
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_closed = False

    async def recv(self) -> bytes:
        """What came next, b"" at the end."""
        while True:
            self._check()
            data = self._wire.recv_some()
            if data is not None:
                return data
            loop = asyncio.get_running_loop()
            await self._until(loop.add_reader, loop.remove_reader)

    async def sendall(self, data: bytes) -> None:
        """Send all of `data`, waiting as long as it takes."""
        rest = memoryview(data)
        while rest or not self._wire.flushed():
            self._check()
            taken = self._wire.send_some(bytes(rest[:PIECE])) if rest else 0
            rest = rest[taken:]
            if not taken:
                loop = asyncio.get_running_loop()
                await self._until(loop.add_writer, loop.remove_writer)

    async def half_close(self) -> None:
        """Tell the other side that nothing more comes; go on reading."""
        self._check()
        self._wire.half_close()

    def hang_up(self) -> None:
        """End both directions."""
        self._wire.hang_up()

    def close(self) -> None:
        """Give the descriptor back; who waits here gets a ConnectionAbortedError."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._wire.fileno())
        loop.remove_writer(self._wire.fileno())
        self._wire.close()
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionAbortedError("the connection was closed"))

    async def _until(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        add(self._wire.fileno(), _settle, future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if not self._is_closed:
                remove(self._wire.fileno())

    def _check(self) -> None:
        if self._is_closed:
            raise ConnectionAbortedError("the connection was closed")


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class AsyncConnection:
    """One connection and what has been read ahead on it; see `http.Connection`."""

    def __init__(self, wire: AsyncWire) -> None:
        """Speak HTTP over `wire`."""
        self.wire = wire
        self.reusable = True
        self._reader = Reader()
        self._sending: asyncio.Task[None] | None = None

    async def send(self, head: bytes, body: Body) -> None:
        """Write a request. An iterable body goes out while the answer is being read; its steps run in a thread."""
        self.reusable = False
        if body is None or isinstance(body, bytes):
            await self.wire.sendall(head + (body or b""))
            return
        await self.wire.sendall(head)
        self._sending = asyncio.create_task(self._send_pieces(body))

    async def read_head(self) -> Head:
        """The next answer's head; interim 1xx answers other than 101 are skipped."""
        while (head := self._reader.head()) is None:
            self._reader.feed(await self.wire.recv())
        return head

    async def body(self, head: Head, *, method: str) -> AsyncGenerator[bytes, None]:
        """The body in the pieces it comes in. Read to its end, the connection is `reusable`."""
        for piece in self._reader.body(head, method=method):
            if piece is None:
                self._reader.feed(await self.wire.recv())
            else:
                yield piece
        self.reusable = self._reader.reusable and (self._sending is None or self._sending.done())

    def leftover(self) -> bytes:
        """What was read beyond the head: the first bytes of a hijacked stream."""
        return self._reader.leftover()

    def close(self) -> None:
        """Give the connection up, and stop to send."""
        if self._sending is not None:
            self._sending.cancel()
        self.wire.close()

    async def _send_pieces(self, body: Iterable[bytes]) -> None:
        pieces = chunked(body)
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                await self.wire.sendall(piece)
        except ConnectionError:
            pass  # who refuses a body may stop reading it; the refusal is still to be read


class AsyncAnswer:
    """A response whose body is still to be read, by iterating over it or with `read`."""

    def __init__(self, head: Head, connection: AsyncConnection, pieces: AsyncGenerator[bytes, None]) -> None:
        """The answer on `connection` that began with `head`."""
        self.head = head
        self.connection = connection
        self._pieces = pieces
        self._is_begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._is_begun = True
        return self._pieces

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self])

    async def lines(self) -> AsyncIterator[Any]:
        """Each line of the body as a JSON value; a value may be as long as LINE_BYTES_MAX."""
        rest = b""
        async for piece in self:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                if line.strip():
                    yield decode(line)
            if len(rest) > LINE_BYTES_MAX:
                raise ProtocolError("a line of the stream does not end")
        if rest.strip():
            yield decode(rest)

    async def close(self) -> None:
        """Leave the stream, whether or not it has ended; a task that reads it finds its end."""
        if not self._is_begun:
            self.connection.close()
            return
        try:
            await self._pieces.aclose()
        except RuntimeError:
            self.connection.close()  # another task waits in it


class AsyncClient:
    """One daemon, spoken to in one version of its API; see `client.Client`. Belongs to one loop."""

    def __init__(
        self,
        address: Address,
        *,
        tls: Tls | None = None,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
        dialler: Callable[[], Wire | TlsWire] | None = None,
        idle_max: int = 1,
    ) -> None:
        """`dialler` opens connections in place of the address; `idle_max` of them are kept for tasks at work."""
        self.address = address
        self._dial = dialler or (lambda: dial(address, tls))
        self._headers = dict(headers or {})
        self._version = version
        self._idle: list[AsyncConnection] = []
        self._idle_max = idle_max

    async def send(self, call: Call, *, seconds: float | None = None) -> AsyncAnswer:
        """Send `call`; the answer with its body unread. Raises ApiError for statuses from 400 on.

        TimedOut when the daemon is silent for so many seconds, now or while the body is read.
        """
        version = self._version or (VERSION_NEWEST if call.method == "GET" else await self.version())
        connection, head = await self._exchange(call, f"/v{version}{call.target}", seconds)
        if self._version is None and "api-version" in head.headers:
            # What only reads is tried in our newest version, which saves asking for the daemon's.
            self._version = negotiate(head.headers["api-version"])
            if head.status == 400 and self._version != version:
                await self._drain(connection, head, call.method)
                connection, head = await self._exchange(call, f"/v{self._version}{call.target}", seconds)
        return await self._received(call, connection, head, seconds)

    async def version(self) -> str:
        """The API version in use, such as `1.51`. Raises Unreachable when nobody answers."""
        if self._version is None:
            self._version = negotiate((await self._ping()).headers.get("api-version", ""))
        return self._version

    async def json(self, call: Call, *, seconds: float | None = None) -> Any:
        """The JSON value that answers `call`; None for an empty answer."""
        return parsed(await (await self.send(call, seconds=seconds)).read())

    async def hijack(self, call: Call) -> AsyncConnection:
        """Turn a connection into the raw stream that `call` asks for (101, or 200 of old daemons)."""
        call.headers["Upgrade"] = "tcp"
        call.headers["Connection"] = "Upgrade"
        connection, head = await self._exchange(call, f"/v{await self.version()}{call.target}", None)
        if head.status not in (101, 200):
            await self._received(call, connection, head, None)
            raise ProtocolError(f"unable to upgrade to tcp, received {head.status}")
        return connection

    def close(self) -> None:
        """Give up the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _ping(self) -> Head:
        """The daemon's announcement; GET for a daemon that does not know HEAD here."""
        for method in ("HEAD", "GET"):
            connection, head = await self._exchange(Call(method, "/_ping"), "/_ping", None)
            await self._drain(connection, head, method)
            if head.status in (200, 500):
                break
        return head

    async def _drain(self, connection: AsyncConnection, head: Head, method: str) -> None:
        async with aclosing(self._body(connection, head, method, None)) as pieces:
            async for _ in pieces:
                pass

    async def _exchange(self, call: Call, target: str, seconds: float | None) -> tuple[AsyncConnection, Head]:
        fresh = not self._idle
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
        except OSError as error:
            raise broken(self.address, error) from error
        try:
            async with asyncio.timeout(seconds):
                head = request_head(call.method, target, headers_of(call, self.address, self._headers))
                await connection.send(head, call.body)
                return connection, await connection.read_head()
        except (OSError, ProtocolError) as error:
            connection.close()
            # A daemon may close an idle connection at any time; asking once more is right where asking twice is.
            if not fresh and call.method in ("GET", "HEAD") and not isinstance(error, TimeoutError):
                return await self._exchange(call, target, seconds)
            raise broken(self.address, error) from error
        except BaseException:
            connection.close()
            raise

    async def _connect(self) -> AsyncConnection:
        # Names are looked up, programs started and hands shaken in a thread; a file of this host answers at once.
        blocks = self.address.scheme != "unix"
        wire = await asyncio.to_thread(self._dial) if blocks else self._dial()
        return AsyncConnection(AsyncWire(wire))

    async def _received(
        self, call: Call, connection: AsyncConnection, head: Head, seconds: float | None
    ) -> AsyncAnswer:
        answer = AsyncAnswer(head, connection, self._body(connection, head, call.method, seconds))
        if head.status >= 400:
            raise api_error(head.status, message_of(await answer.read(), head))
        return answer

    async def _body(
        self, connection: AsyncConnection, head: Head, method: str, seconds: float | None
    ) -> AsyncGenerator[bytes, None]:
        pieces = connection.body(head, method=method)
        try:
            while True:
                async with asyncio.timeout(seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                yield piece
        except OSError as error:
            raise broken(self.address, error) from error
        finally:
            if connection.reusable and len(self._idle) < self._idle_max:
                self._idle.append(connection)
            else:
                connection.close()
