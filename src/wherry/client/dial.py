"""Opening a byte stream to a daemon: unix socket, TCP, or a program run over ssh."""

from __future__ import annotations

from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM
from _socket import socket as RawSocket  # noqa: N812 - `import socket` costs 5 ms; its C base class does all we need
from errno import EACCES, ECONNREFUSED, ENOENT, EPERM

from wherry.client.doomed import await_end_of_doomed
from wherry.client.errors import BadAddress, Forbidden, Unreachable, Untrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.address import Address, Tls
    from wherry.client.tls import TlsWire

SHUT_WR = 1
MSG_DONTWAIT = 0x40
CONNECT_SECONDS = 30
PIECE = 65536


class Wire:
    """A plain connection. `recv` and `sendall` block; `send_some` and `recv_some` never do."""

    __slots__ = ("_socket",)

    def __init__(self, socket: RawSocket) -> None:
        self._socket = socket

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def limit(self, seconds: float | None) -> None:
        """How long `recv` and `sendall` wait, None for ever; then they raise TimeoutError."""
        from wherry.client.sockets import limit

        limit(self._socket, seconds)

    def recv(self) -> bytes:
        """What came next, b"" at the end; waits for it."""
        try:
            return self._socket.recv(PIECE)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def recv_some(self) -> bytes | None:
        """What has come, b"" at the end, None when nothing has come yet."""
        try:
            return self._socket.recv(PIECE, MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def sendall(self, data: bytes) -> None:
        """Send all of `data`, waiting as long as it takes."""
        try:
            self._socket.sendall(data)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def send_some(self, data: bytes) -> int:
        """Send what goes without waiting; the number of bytes taken."""
        try:
            return self._socket.send(data, MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def flushed(self) -> bool:
        """True when nothing that was taken is still held back here."""
        return True

    def half_close(self) -> None:
        """Tell the other side that nothing more comes; go on reading."""
        try:
            self._socket.shutdown(SHUT_WR)
        except OSError:
            pass  # the other side has left already, and its answer or end is still to be read

    def hang_up(self) -> None:
        """End both directions, also for a thread that waits in `recv`."""
        from wherry.client.sockets import hang_up

        hang_up(self._socket)

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


def dial(address: Address, tls: Tls | None = None) -> Wire | TlsWire:
    """A connection to `address`. Raises Unreachable, Untrusted, Forbidden or BadAddress."""
    try:
        if address.scheme == "unix":
            return Wire(_unix(address.path))
        if address.scheme == "tcp":
            return _tcp(address, tls)
        return Wire(_ssh(address))
    except Untrusted:
        raise
    except OSError as reason:
        if reason.errno in (EACCES, EPERM):
            words = f"permission denied while trying to connect to the Wherry daemon socket at {address.text}"
            raise Forbidden(words) from reason
        absent = reason.errno in (ENOENT, ECONNREFUSED)
        raise Unreachable(address.text, reason, absent=absent) from reason


def _unix(path: str) -> RawSocket:
    socket = _connected(path)
    try:
        is_doomed = await_end_of_doomed(socket)
    except BaseException:
        socket.close()
        raise
    if not is_doomed:
        return socket
    socket.close()
    return _connected(path)


def _connected(path: str) -> RawSocket:
    socket = RawSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        socket.connect(path)
    except BaseException:
        socket.close()
        raise
    return socket


def _tcp(address: Address, tls: Tls | None) -> Wire | TlsWire:
    from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_NODELAY, create_connection

    socket = create_connection((address.host, address.port), timeout=CONNECT_SECONDS)
    socket.settimeout(None)
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    if tls is None and not address.text.startswith("https:"):
        return Wire(socket)
    from wherry.client.tls import TlsWire, context

    return TlsWire(socket, context(tls), address.host)


def _ssh(address: Address) -> RawSocket:
    """`ssh HOST wherry system dial-stdio`, whose standard streams are our connection.

    The program's error stream stays the user's, so that ssh can ask and complain.
    """
    from socket import socketpair
    from subprocess import Popen

    ours, theirs = socketpair()
    command = ["ssh"]
    if address.user:
        command += ["-l", address.user]
    if address.port:
        command += ["-p", str(address.port)]
    command += ["-o", "ConnectTimeout=30", "-T", "--", address.host, "wherry", "system", "dial-stdio"]
    try:
        with theirs:
            # A group of its own: Ctrl-C is for the container, not for the connection to it.
            Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), process_group=0)
    except FileNotFoundError:
        ours.close()
        raise BadAddress("the address asks for ssh, but there is no program `ssh` in $PATH") from None
    return ours
