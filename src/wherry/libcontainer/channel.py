"""The line between a process being born and who gave birth: one SOCK_SEQPACKET pair, one message per packet."""

import _socket
import struct
from dataclasses import dataclass

from wherry.libcontainer.errors import BirthError

# From the child. EXECUTING and then the end of file means that execve(2) happened.
EXECUTING, WAITING, FAILED, WARNING, TERMINAL, LIMITS, HOOKS, BORN = range(8)
# To the child.
GO = b"go"

_BYTES_MAX = 65536
_TEXT_MAX = 16384
_FAILURE = struct.Struct("iB")
_INT = struct.Struct("i")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its kind, its payload, a descriptor that came with it."""

    kind: int
    data: bytes = b""
    fd: int | None = None


class Channel:
    """One end of the line."""

    def __init__(self, socket: "_socket.socket") -> None:
        self._socket = socket

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, kind: int, data: bytes = b"", fd: int | None = None) -> None:
        """Send a message. Raises OSError."""
        ancillary = [] if fd is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _INT.pack(fd))]
        self._socket.sendmsg([bytes([kind]), data], ancillary, _socket.MSG_NOSIGNAL)

    def receive(self) -> Message | None:
        """The next message; None at the end. Raises OSError."""
        room = _socket.CMSG_SPACE(4)
        data, ancillary, _, _ = self._socket.recvmsg(_BYTES_MAX, room, _socket.MSG_CMSG_CLOEXEC)
        if not data:
            return None
        fd = int(_INT.unpack(ancillary[0][2])[0]) if ancillary else None
        return Message(data[0], data[1:], fd)

    def go(self) -> None:
        """Let the other end go on. Raises OSError."""
        self._socket.send(GO, _socket.MSG_NOSIGNAL)

    def wait_for_go(self) -> bool:
        """Wait for `go`; False when the other end is gone. Raises OSError."""
        return self._socket.recv(len(GO)) == GO


def pair() -> tuple[Channel, Channel]:
    """Two ends, both close-on-exec. Raises OSError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return Channel(ours), Channel(theirs)


def accept(listener_fd: int) -> Channel:
    """Accept one connection on a listening socket given by descriptor. Raises OSError."""
    listener = _socket.socket(fileno=listener_fd)
    try:
        fd, _ = listener._accept()  # noqa: SLF001 - the socket module's own accept is built on it
        return Channel(_socket.socket(fileno=fd))
    finally:
        listener.detach()


def failure_bytes(error: BirthError) -> bytes:
    """A BirthError as a payload, its words cut to what one packet carries."""
    texts = (error.stage, error.subject, error.message)
    tail = b"\0".join(text.encode(errors="replace")[:_TEXT_MAX] for text in texts)
    return _FAILURE.pack(error.errno or 0, error.exit_code) + tail


def failure_from(data: bytes) -> BirthError:
    """The inverse of `failure_bytes`."""
    number, exit_code = _FAILURE.unpack_from(data)
    stage, subject, message = data[_FAILURE.size :].decode(errors="replace").split("\0", 2)
    return BirthError(stage, number, subject, message, exit_code)


def pid_bytes(pid: int) -> bytes:
    """A pid as a payload."""
    return _INT.pack(pid)


def pid_from(data: bytes) -> int:
    """The inverse of `pid_bytes`."""
    return int(_INT.unpack(data)[0])
