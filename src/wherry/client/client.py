"""Sending calls to a daemon and reading what comes back, blocking.

Invariant: a `Client` holds few idle connections; streams and hijacked connections are their caller's.
"""

from __future__ import annotations

from wherry.client.call import Call
from wherry.client.dial import dial
from wherry.client.errors import ClientError, ProtocolError, TimedOut, Unreachable, api_error
from wherry.client.http import Connection, request_head
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from wherry.client.address import Address, Tls
    from wherry.client.dial import Wire
    from wherry.client.http import Head
    from wherry.client.tls import TlsWire

VERSION_NEWEST = "1.51"
VERSION_OLDEST = "1.24"
LINE_BYTES_MAX = 64 << 20


class Answer:
    """A response whose body is still to be read, by iterating over it or with `read`."""

    __slots__ = ("_is_begun", "_pieces", "connection", "head")

    def __init__(self, head: Head, connection: Connection, pieces: Iterator[bytes]) -> None:
        self.head = head
        self.connection = connection
        self._pieces = pieces
        self._is_begun = False

    def __iter__(self) -> Iterator[bytes]:
        self._is_begun = True
        return self._pieces

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self)

    def lines(self) -> Iterator[Any]:
        """Each line of the body as a JSON value; a value may be as long as LINE_BYTES_MAX."""
        rest = b""
        for piece in self:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                if line.strip():
                    yield decode(line)
            if len(rest) > LINE_BYTES_MAX:
                raise ProtocolError("a line of the stream does not end")
        if rest.strip():
            yield decode(rest)

    def close(self) -> None:
        """Leave the stream, whether or not it has ended; a thread that reads it finds its end."""
        if not self._is_begun:
            return self.connection.wire.close()
        try:
            self._pieces.close()  # type: ignore[attr-defined] # it is a generator
        except ValueError:
            self.connection.wire.hang_up()  # another thread waits in it


class Pending:
    """A call that was sent and not answered yet, on a connection of its own."""

    __slots__ = ("_call", "_client", "_connection", "_head")

    def __init__(self, client: Client, call: Call, connection: Connection) -> None:
        self._client = client
        self._call = call
        self._connection = connection
        self._head: Head | None = None

    def heard(self) -> None:
        """Wait until the answer begins: on another connection, which may be slow, what follows could overtake it."""
        # Older daemons begin to answer a wait only when it is over.
        if version_key(self._client.version) >= version_key("1.30"):
            self._head = self._read_head()

    def answer(self) -> Answer:
        """Wait for the answer. Raises ApiError for statuses from 400 on."""
        return self._client.received(self._call, self._connection, self._head or self._read_head())

    def _read_head(self) -> Head:
        try:
            return self._connection.read_head()
        except (OSError, ProtocolError) as error:
            self._connection.wire.close()
            raise broken(self._client.address, error) from error

    def json(self) -> Any:
        """Wait for the answer and read it as JSON; None for an empty one."""
        return parsed(self.answer().read())


class Client:
    """One daemon, spoken to in one version of its API.

    `version` fixes the version; None negotiates it with the first call (at most ours, at most the daemon's). What only
    reads is tried in ours; for anything else the daemon is asked first.
    """

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
        """`dialler` opens connections in place of the address; `idle_max` of them are kept for threads at work."""
        self.address = address
        self._dial = dialler or (lambda: dial(address, tls))
        self._headers = dict(headers or {})
        self._version = version
        self._idle: list[Connection] = []
        self._idle_max = idle_max
        self.trace: Callable[[str], None] | None = None

    @property
    def version(self) -> str:
        """The API version in use, such as `1.51`. Raises Unreachable when nobody answers."""
        if self._version is None:
            self._version = negotiate(self._ping().headers.get("api-version", ""))
        return self._version

    def connect(self) -> None:
        """Make sure that somebody listens. Raises Unreachable or Forbidden."""
        if not self._idle:
            self._idle.append(Connection(self._dial()))

    def take(self) -> Connection:
        """A connection on which nothing is under way; it is the caller's from now on."""
        try:
            return self._idle.pop()
        except IndexError:  # asking first would let two threads take the same
            return Connection(self._dial())

    def send(self, call: Call, *, seconds: float | None = None) -> Answer:
        """Send `call`; the answer with its body unread. Raises ApiError for statuses from 400 on.

        TimedOut when the daemon is silent for so many seconds, now or while the body is read.
        """
        if self._version is None and call.method == "GET":
            return self._send_trying(call, seconds)
        connection, head = self._exchange(call, f"/v{self.version}{call.target}", seconds)
        return self.received(call, connection, head)

    def _send_trying(self, call: Call, seconds: float | None) -> Answer:
        """Send it in our newest version, which saves asking for the daemon's: it says that with every answer."""
        connection, head = self._exchange(call, f"/v{VERSION_NEWEST}{call.target}", seconds)
        if "api-version" in head.headers:
            self._version = negotiate(head.headers["api-version"])
        if head.status == 400 and self._version != VERSION_NEWEST:
            b"".join(self._body(connection, head, call.method))
            connection, head = self._exchange(call, f"/v{self.version}{call.target}", seconds)
        return self.received(call, connection, head)

    def begin(self, call: Call) -> Pending:
        """Send `call` and do not wait: several may be under way, each on its own connection."""
        target = f"/v{self.version}{call.target}"
        connection = self.take()
        try:
            self._write(connection, call, target)
        except OSError as error:
            connection.wire.close()
            raise broken(self.address, error) from error
        return Pending(self, call, connection)

    def received(self, call: Call, connection: Connection, head: Head) -> Answer:
        """The answer that began with `head`. Raises ApiError for statuses from 400 on."""
        answer = Answer(head, connection, self._body(connection, head, call.method))
        if head.status >= 400:
            raise api_error(head.status, message_of(answer.read(), head))
        return answer

    def json(self, call: Call, *, seconds: float | None = None) -> Any:
        """The JSON value that answers `call`; None for an empty answer."""
        return parsed(self.send(call, seconds=seconds).read())

    def text(self, call: Call) -> str:
        """The answer as it came, such as JSON that keeps its spelling."""
        return self.send(call).read().decode("utf-8", "replace")

    def hijack(self, call: Call) -> Connection:
        """Turn a connection into the raw stream that `call` asks for (101, or 200 of old daemons)."""
        call.headers["Upgrade"] = "tcp"
        call.headers["Connection"] = "Upgrade"
        connection, head = self._exchange(call, f"/v{self.version}{call.target}")
        if head.status not in (101, 200):
            self.received(call, connection, head)
            raise ProtocolError(f"unable to upgrade to tcp, received {head.status}")
        return connection

    def close(self) -> None:
        """Give up the idle connections."""
        while self._idle:
            self._idle.pop().wire.close()

    def _ping(self) -> Head:
        """The daemon's announcement; GET for a daemon that does not know HEAD here."""
        connection, head = self._exchange(Call("HEAD", "/_ping"), "/_ping")
        b"".join(self._body(connection, head, "HEAD"))
        if head.status not in (200, 500):
            connection, head = self._exchange(Call("GET", "/_ping"), "/_ping")
            b"".join(self._body(connection, head, "GET"))
        return head

    def _exchange(self, call: Call, target: str, seconds: float | None = None) -> tuple[Connection, Head]:
        fresh = not self._idle
        connection = self.take()
        try:
            connection.limit(seconds)
            self._write(connection, call, target)
            return connection, connection.read_head()
        except (OSError, ProtocolError) as error:
            connection.wire.close()
            # A daemon may close an idle connection at any time; asking once more is right where asking twice is.
            if not fresh and call.method in ("GET", "HEAD") and not isinstance(error, TimeoutError):
                return self._exchange(call, target, seconds)
            raise broken(self.address, error) from error

    def _write(self, connection: Connection, call: Call, target: str) -> None:
        if self.trace is not None:
            self.trace(f"{call.method} {target} -> {self.address.text}")
        connection.send(request_head(call.method, target, headers_of(call, self.address, self._headers)), call.body)

    def _body(self, connection: Connection, head: Head, method: str) -> Iterator[bytes]:
        try:
            yield from connection.body(head, method=method)
        except OSError as error:
            raise broken(self.address, error) from error
        finally:
            if connection.reusable and len(self._idle) < self._idle_max:
                self._idle.append(connection)
            else:
                connection.wire.close()


def headers_of(call: Call, address: Address, more: Mapping[str, str]) -> dict[str, str]:
    """All headers of a request to `address`, its own over `more`."""
    host = address.host if address.scheme == "tcp" else "api.wherry.localhost"
    headers = {"Host": host, "User-Agent": "Wherry-Client", **more, **call.headers}
    if call.body is None:
        if call.method in ("POST", "PUT"):
            headers["Content-Length"] = "0"
    elif isinstance(call.body, bytes):
        headers["Content-Length"] = str(len(call.body))
    else:
        headers["Transfer-Encoding"] = "chunked"
    return headers


def negotiate(server: str) -> str:
    """The version to speak with a daemon whose newest is `server` ("" for one that does not say)."""
    if not server:
        return VERSION_OLDEST
    return min(server, VERSION_NEWEST, key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """A version such as `1.51` in an order that puts 1.9 before 1.10; ValueError for other text."""
    return tuple([int(part) for part in version.split(".")])


def parsed(body: bytes) -> Any:
    """The JSON value that a body is, None for an empty one. Raises ProtocolError."""
    try:
        return decode(body) if body.strip() else None
    except ValueError as error:
        raise ProtocolError(f"invalid JSON from the daemon: {error}") from error


def message_of(body: bytes, head: Head) -> str:
    """What the daemon said went wrong: JSON's `message`, plain text, or the status."""
    text = body.decode("utf-8", "replace").strip()
    if head.headers.get("content-type", "").startswith("application/json"):
        try:
            value = decode(text)
        except ValueError:
            value = None
        if isinstance(value, dict) and "message" in value:
            return str(value["message"]).strip()
    return text or f"request returned {head.reason or head.status}"


def broken(address: Address, error: Exception) -> ClientError:
    """What a failure of the connection to `address` is to a caller."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, TimeoutError):
        return TimedOut(f"the daemon at {address.text} did not answer in time")
    return Unreachable(address.text, error if isinstance(error, OSError) else None)
