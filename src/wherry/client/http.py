"""HTTP/1.1 over one connection: write a request, read heads and bodies.

`Reader` understands bytes and waits for none, so that whoever waits in another way can use it, too.

Out of scope: pipelining, trailers' meaning, compression, redirects. The Engine API uses none of them.
"""

from __future__ import annotations

from wherry.client.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from wherry.client.call import Body
    from wherry.client.dial import Wire
    from wherry.client.tls import TlsWire

HEAD_BYTES_MAX = 1 << 20
LINE_BYTES_MAX = 4096


class Head:
    """Status line and headers of an answer; header names in lower case, the last of equal ones wins."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: dict[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request up to its body. ValueError for a header that would break out of its line."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if "\r" in value or "\n" in value or "\r" in name or "\n" in name:
            raise ValueError(f"header {name!r} has a line break in it")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def parse_head(data: bytes) -> Head:
    """The head in `data`, which ends with its empty line. Raises ProtocolError."""
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not code.isdigit():
        raise ProtocolError(f"malformed HTTP response {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Head(int(code), reason, headers)


class Reader:
    """What came on a connection, understood: bytes are fed in, heads and pieces of bodies come out.

    It reads nothing itself. `head` and `body` give None where more must be fed first. `reusable` tells whether the
    last body was read to its end and nobody wants to close.
    """

    __slots__ = ("_ahead", "_ended", "reusable")

    def __init__(self) -> None:
        self.reusable = True
        self._ahead = b""
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Add what came next; b"" is the end of the stream."""
        self._ahead += data
        self._ended = not data

    def head(self) -> Head | None:
        """The next answer's head; interim 1xx answers other than 101 are skipped. Raises ProtocolError."""
        while (end := self._ahead.find(b"\r\n\r\n")) >= 0:
            head = parse_head(self._ahead[: end + 2])
            self._ahead = self._ahead[end + 4 :]
            if head.status >= 200 or head.status == 101:
                return head
        if len(self._ahead) > HEAD_BYTES_MAX:
            raise ProtocolError("the response's head does not end")
        self._expect_more()
        return None

    def body(self, head: Head, *, method: str) -> Iterator[bytes | None]:
        """The body in the pieces it comes in."""
        self.reusable = False
        may_stay = head.headers.get("connection", "").lower() != "close"
        if method == "HEAD" or head.status in (101, 204, 304):
            self.reusable = may_stay
            return
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in head.headers:
            yield from self._counted(_length(head.headers["content-length"]))
        else:
            may_stay = False
            yield from self._until_end()
        self.reusable = may_stay

    def leftover(self) -> bytes:
        """What was read beyond the head: the first bytes of a hijacked stream."""
        data, self._ahead = self._ahead, b""
        return data

    def _expect_more(self) -> None:
        if self._ended:
            raise ProtocolError("unexpected EOF")

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._ahead.find(b"\r\n")) < 0:
            if len(self._ahead) > LINE_BYTES_MAX:
                raise ProtocolError("malformed chunked encoding")
            self._expect_more()
            yield None
        line, self._ahead = self._ahead[:end], self._ahead[end + 2 :]
        return line

    def _chunks(self) -> Iterator[bytes | None]:
        while True:
            line = (yield from self._line()).partition(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise ProtocolError(f"malformed chunk size {line[:20]!r}") from None
            if not size:
                break
            yield from self._counted(size)
            if (yield from self._line()):
                raise ProtocolError("malformed chunked encoding")
        while (yield from self._line()):
            pass  # trailers

    def _counted(self, size: int) -> Iterator[bytes | None]:
        while size:
            while not self._ahead:
                self._expect_more()
                yield None
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            size -= len(piece)
            yield piece

    def _until_end(self) -> Iterator[bytes | None]:
        while self._ahead or not self._ended:
            yield self.leftover() or None


class Connection:
    """One connection and what has been read ahead on it.

    `reusable` tells whether the next request may go here: the last body was read to its end and nobody wants to close.
    """

    __slots__ = ("_outgoing", "_reader", "_seconds", "_unsent", "reusable", "wire")

    def __init__(self, wire: Wire | TlsWire) -> None:
        self.wire = wire
        self.reusable = True
        self._reader = Reader()
        self._outgoing: Iterator[bytes] | None = None
        self._unsent = b""
        self._seconds: float | None = None

    def limit(self, seconds: float | None) -> None:
        """How long the other side may be silent from now on, None for ever; TimeoutError after that."""
        if seconds != self._seconds:
            self.wire.limit(seconds)
            self._seconds = seconds

    def send(self, head: bytes, body: Body) -> None:
        """Write a request. An iterable body goes out chunk by chunk while the answer is being read.

        A daemon tells its progress while it takes a body: who first sends all and then reads deadlocks
        as soon as both directions' buffers are full.
        """
        self.reusable = False
        if body is None or isinstance(body, bytes):
            return self.wire.sendall(head + (body or b""))
        self._outgoing = chunked(body)
        return self.wire.sendall(head)

    def read_head(self) -> Head:
        """The next answer's head; interim 1xx answers other than 101 are skipped."""
        while (head := self._reader.head()) is None:
            self._reader.feed(self._recv())
        return head

    def body(self, head: Head, *, method: str) -> Iterator[bytes]:
        """The body in the pieces it comes in. Read to its end, the connection is `reusable`."""
        for piece in self._reader.body(head, method=method):
            if piece is None:
                self._reader.feed(self._recv())
            else:
                yield piece
        self.reusable = self._reader.reusable and self._outgoing is None

    def leftover(self) -> bytes:
        """What was read beyond the head: the first bytes of a hijacked stream."""
        return self._reader.leftover()

    def _recv(self) -> bytes:
        """What comes next, b"" at the end; the rest of the request's body goes out meanwhile."""
        if self._outgoing is not None:
            try:
                data = self._recv_while_sending(self._outgoing)
            except (BrokenPipeError, ConnectionResetError):
                data = None  # who refuses a body may stop reading it; the refusal is still to be read
            if data is not None:
                return data
            self._outgoing = None
        return self.wire.recv()

    def _recv_while_sending(self, outgoing: Iterator[bytes]) -> bytes | None:
        """Send until something arrives; None when all was sent before anything arrived."""
        from select import POLLIN, POLLOUT, poll

        poller = poll()
        poller.register(self.wire.fileno(), POLLIN | POLLOUT)
        while True:
            if not self._unsent and self.wire.flushed():
                self._unsent = next(outgoing, b"")
                if not self._unsent:
                    return None
            ready = poller.poll(None if self._seconds is None else self._seconds * 1000)
            if not ready:
                raise TimeoutError("timed out")
            events = ready[0][1]
            data = self.wire.recv_some() if events & ~POLLOUT else None
            if data is not None:
                return data
            if self._unsent and events & POLLOUT:
                self._unsent = self._unsent[self.wire.send_some(self._unsent) :]


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in the form of chunks, and their end."""
    for piece in pieces:
        if piece:
            yield b"%x\r\n" % len(piece) + piece + b"\r\n"
    yield b"0\r\n\r\n"


def _length(text: str) -> int:
    if not text.isdigit():
        raise ProtocolError(f"malformed Content-Length {text[:20]!r}")
    return int(text)
