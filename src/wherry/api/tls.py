"""TLS in front of plain connections, because asyncio cannot half-close TLS and loses what is still under way.

Each client gets a pair of connected sockets: the server behind sees one plain end, which it may also give away;
two loops move bytes between the client and the other end. An end of input travels as close_notify in both
directions. These loops live in the daemon: a session over TLS ends with it, unlike one over a unix socket.
"""

import asyncio
import logging
import select
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from wherry.model.errors import InvalidParameter

CHUNK_BYTES = 256 * 1024
HANDSHAKE_SECONDS = 30.0
# How long to leave a listener alone that cannot accept, such as when descriptors run out (asyncio does the same).
ACCEPT_PAUSE_SECONDS = 1.0
PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

log = logging.getLogger(__name__)

Connect = Callable[[], asyncio.Protocol]


def server_context(*, certificate: Path, key: Path, clients_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer; with `clients_ca`, clients must show a certificate that it signed. Raises InvalidParameter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise InvalidParameter(
            f'invalid TLS configuration: Could not load X509 key pair (cert: "{certificate}", key: "{key}"): {error}'
        ) from None
    if clients_ca is None:
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(clients_ca)
    except OSError as error:
        raise InvalidParameter(
            f'invalid TLS configuration: could not read CA certificate "{clients_ca}": {error}'
        ) from None
    return context


class TlsFront:
    """Accepts TLS connections on one listening socket."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, connect: Connect) -> None:
        """`connect` makes the protocol that serves a plain connection."""
        self._listener = listener
        self._context = context
        self._connect = connect
        self._task: asyncio.Task[None] | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Serve from now on; every client is a task of `group`."""
        self._listener.setblocking(False)
        self._task = group.create_task(self._accept())

    def close(self) -> None:
        """Accept no more; connections end at once."""
        if self._task is not None:
            self._task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        with self._listener:
            async with asyncio.TaskGroup() as clients:
                while True:
                    try:
                        client, _ = await loop.sock_accept(self._listener)
                    except OSError as error:
                        log.warning("Cannot accept a connection: %s", error)
                        await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                    else:
                        clients.create_task(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            stream = _TlsStream(client, self._context)
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    await stream.handshake()
                await self._join(stream)
            except* (OSError, TimeoutError) as errors:
                log.debug("A TLS connection ended: %s", errors.exceptions[0])

    async def _join(self, stream: "_TlsStream") -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        with near:
            await asyncio.get_running_loop().connect_accepted_socket(self._connect, far)
            async with asyncio.TaskGroup() as both:
                inward = both.create_task(_move_in(stream, near))
                await _move_out(near, stream)
                if _is_closed(near):
                    inward.cancel()


async def _move_in(stream: "_TlsStream", plain: socket.socket) -> None:
    """From the client to the server; the client's end of input becomes a half-closed plain connection."""
    loop = asyncio.get_running_loop()
    while data := await stream.read():
        try:
            await loop.sock_sendall(plain, data)
        except (BrokenPipeError, ConnectionResetError):
            return
    plain.shutdown(socket.SHUT_WR)


async def _move_out(plain: socket.socket, stream: "_TlsStream") -> None:
    """From the server to the client; the server's end of output becomes a close_notify."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(plain, CHUNK_BYTES):
            await stream.write(data)
    except ConnectionResetError:
        log.debug("A plain connection behind TLS was reset")
    await stream.end()


def _is_closed(plain: socket.socket) -> bool:
    """Whether the other end is gone altogether, not just half-closed."""
    poll = select.poll()
    poll.register(plain, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


class _TlsStream:
    """A TLS connection whose two directions end on their own."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        client.setblocking(False)
        self._client = client
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._sending = asyncio.Lock()

    async def handshake(self) -> None:
        """Raises ssl.SSLError, after the client has been told why."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except ssl.SSLError as error:
                if error.reason == "HTTP_REQUEST":
                    self._to_send.write(PLAIN_HTTP)
                await self._flush()
                raise
            else:
                return await self._flush()

    async def read(self) -> bytes:
        """What there is, none at the client's orderly end. Raises ssl.SSLError when it just breaks off."""
        while True:
            try:
                first = self._tls.read(CHUNK_BYTES)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            else:
                return first + self._read_more() if first else first

    def _read_more(self) -> bytes:
        """The records that came along with the first one; each holds 16 KiB at most."""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(CHUNK_BYTES):
                pieces.append(piece)
        except ssl.SSLError:
            # No whole record is there; an end or a fault comes up again with the next read.
            return b"".join(pieces)
        return b"".join(pieces)

    async def write(self, data: bytes) -> None:
        """Send all of it."""
        self._tls.write(data)
        await self._flush()

    async def end(self) -> None:
        """Say that no more will be sent; reading goes on."""
        try:
            self._tls.unwrap()
        except ssl.SSLError as error:
            # Wanting to read is the usual case: the client has not ended its own direction yet.
            log.debug("A close_notify awaits its answer: %s", error)
        try:
            await self._flush()
            self._client.shutdown(socket.SHUT_WR)
        except OSError as error:
            log.debug("A TLS client left before the end: %s", error)

    async def _receive(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._client, CHUNK_BYTES)
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    async def _flush(self) -> None:
        async with self._sending:
            while data := self._to_send.read():
                await asyncio.get_running_loop().sock_sendall(self._client, data)
