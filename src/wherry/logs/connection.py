"""Connections over which lines leave: streams whose bytes have arrived when `send` returns, and datagrams."""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
from collections.abc import Iterator

from wherry.logs.addresses import UNIX, Address

CONNECT_SECONDS = 10.0
SEND_SECONDS = 30.0
_LOOK_SECONDS_FIRST, _LOOK_SECONDS_MAX = 0.0005, 0.05
_INT = struct.Struct("i")
_SIOCOUTQ = termios.TIOCOUTQ  # of a socket: bytes that the other side has not acknowledged (tcp(7), unix(7))


class Stream:
    """A connection by TCP, TLS or a unix socket, made when there is something to send."""

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None = None,
        send_seconds: float = SEND_SECONDS,
        renew_seconds: float = 0.0,
    ) -> None:
        """Not connected yet. A connection older than `renew_seconds` is replaced at the next `send`; 0 for never."""
        self._address = address
        self._tls = tls
        self._send_seconds = send_seconds
        self._renew_seconds = renew_seconds
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._since = 0.0

    async def open(self) -> None:
        """Connect, unless it is done. Raises OSError in Go's words."""
        now = asyncio.get_running_loop().time()
        if self._writer and (self._is_lost() or 0 < self._renew_seconds < now - self._since):
            await self.close()
        if self._writer is None:
            with _dialling(self._address):
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._reader, self._writer = await self._connect()
            self._since = now

    async def send(self, data: bytes) -> None:
        """Have the other side's kernel take all of it. Raises OSError; how much has arrived is not known then."""
        try:
            await self.open()
            assert self._writer is not None
            async with asyncio.timeout(self._send_seconds):
                self._writer.write(data)
                await self._writer.drain()
                await self._arrived(self._writer)
        except BaseException:
            await self.close()
            raise

    async def answer(self, size: int) -> bytes:
        """What the other side says, up to so many bytes; at its end empty. Raises OSError."""
        assert self._reader is not None
        try:
            async with asyncio.timeout(self._send_seconds):
                return await self._reader.read(size)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection."""
        writer, self._writer = self._writer, None
        if writer:
            writer.transport.abort() if self._tls else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        if address.scheme == "unix":
            return await asyncio.open_unix_connection(address.path)
        return await asyncio.open_connection(address.host, address.port, ssl=self._tls)

    async def _arrived(self, writer: asyncio.StreamWriter) -> None:
        """Wait until nothing is under way, which no event tells. Raises ConnectionResetError when it never will be."""
        fd = writer.get_extra_info("socket").fileno()
        pause = _LOOK_SECONDS_FIRST
        while writer.transport.get_write_buffer_size() or _under_way(fd):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LOOK_SECONDS_MAX)
            if self._is_lost():
                break
        if self._is_lost():
            raise ConnectionResetError(f"the connection to {self._address.target} was closed")

    def _is_lost(self) -> bool:
        """Whether the other side is gone, or will at least read no more: what hangs up is done with us."""
        if self._writer is None or self._writer.is_closing():
            return True
        poll = select.poll()
        poll.register(self._writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))


class Datagrams:
    """A connected datagram socket, by UDP or a unix socket."""

    def __init__(self, address: Address) -> None:
        """Not connected yet."""
        self._address = address
        self._socket: socket.socket | None = None

    async def open(self) -> None:
        """Connect, unless it is done. Raises OSError in Go's words."""
        if self._socket is None:
            with _dialling(self._address):
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._socket = await self._connect()

    async def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send one datagram. Raises OSError, also for one before this that nobody wanted."""
        try:
            await self.open()
            assert self._socket is not None
            async with asyncio.timeout(SEND_SECONDS):
                if fds:
                    socket.send_fds(self._socket, [data], list(fds))
                else:
                    await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    async def _connect(self) -> socket.socket:
        address = self._address
        if address.scheme in UNIX:
            return _connected(socket.AF_UNIX, address.path)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        family, _, _, _, target = found[0]
        return _connected(family, target)


def _connected(family: int, target: str | tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.connect(target)
    except BaseException:
        made.close()
        raise
    return made


def _under_way(fd: int) -> int:
    return int(_INT.unpack(fcntl.ioctl(fd, _SIOCOUTQ, bytes(_INT.size)))[0])


@contextlib.contextmanager
def _dialling(address: Address) -> Iterator[None]:
    """Errors as Go's net.Dial says them."""
    network = "tcp" if address.scheme in {"tcp+tls", "tls"} else address.scheme
    try:
        yield
    except socket.gaierror:
        raise OSError(f"dial {network}: lookup {address.host}: no such host") from None
    except TimeoutError:
        raise TimeoutError(f"dial {network} {address.target}: i/o timeout") from None
    except ssl.SSLError as error:
        raise OSError(f"tls: {error.reason or error}") from None
    except OSError as error:
        words = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OSError(error.errno or 0, f"dial {network} {address.target}: connect: {words}") from None
