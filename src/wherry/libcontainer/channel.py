"""The line between a process being born and who gave birth: one SOCK_SEQPACKET pair, one message per packet."""

import _socket
import errno
import os
import struct

from msgspec import Struct

from wherry.libcontainer.errors import BirthError

# From the child. EXECUTING and then the end of file means that execve(2) happened.
EXECUTING, WAITING, FAILED, WARNING, TERMINAL, LIMITS, HOOKS, BORN = range(8)
# To the child.
GO = b"go"

_BYTES_MAX = 65536
_FDS_MAX = 253
_TEXT_MAX = 16384
_FAILURE = struct.Struct("iB")
_INT = struct.Struct("i")


class Message(Struct, frozen=True):
    """One message: its kind, its payload, the descriptors that came with it."""

    kind: int
    data: bytes = b""
    fds: tuple[int, ...] = ()

    @property
    def fd(self) -> int | None:
        """The only descriptor, when there is one."""
        return self.fds[0] if self.fds else None


class Channel:
    """One end of the line: a socket, or for a later start a pipe's reading end and another one's writing end.

    Once a system call filter is on only read(2) and write(2) are used, which no filter can do without.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._is_open = True

    @property
    def fds(self) -> tuple[int, int]:
        """Its descriptors."""
        return self._reading, self._writing

    def close(self) -> None:
        """Close this end; again is fine."""
        if self._is_open:
            self._is_open = False
            for fd in {self._reading, self._writing}:
                os.close(fd)

    def send(self, kind: int, data: bytes = b"") -> None:
        """Send a message. Raises OSError."""
        os.write(self._writing, bytes([kind]) + data)

    def send_fd(self, kind: int, fd: int) -> None:
        """Send a message with a descriptor; sockets only. Raises OSError."""
        self.send_fds(kind, (fd,))

    def send_fds(self, kind: int, fds: tuple[int, ...], data: bytes = b"") -> None:
        """Send a message with descriptors, at most 253; sockets only. Raises OSError."""
        line = _socket.socket(fileno=self._writing)
        rights = struct.pack(f"{len(fds)}i", *fds)
        try:
            line.sendmsg([bytes([kind]) + data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        finally:
            line.detach()

    def receive(self) -> Message | None:
        """The next message; None at the end. Sockets only. Raises OSError."""
        line = _socket.socket(fileno=self._reading)
        try:
            space = _socket.CMSG_SPACE(_FDS_MAX * _INT.size)
            data, ancillary, _, _ = line.recvmsg(_BYTES_MAX, space, _socket.MSG_CMSG_CLOEXEC)
        finally:
            line.detach()
        if not data:
            return None
        fds = tuple(fd for (fd,) in _INT.iter_unpack(ancillary[0][2])) if ancillary else ()
        return Message(data[0], data[1:], fds)

    def go(self) -> None:
        """Let the other end go on. Raises OSError."""
        os.write(self._writing, GO)

    def wait_for_go(self) -> bool:
        """Wait for `go`; False when the other end is gone. Raises OSError."""
        return os.read(self._reading, len(GO)) == GO


def pair() -> tuple[Channel, Channel]:
    """Two ends, both close-on-exec. Raises OSError."""
    ours, theirs = (end.detach() for end in _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET))
    return Channel(ours, ours), Channel(theirs, theirs)


def outcome(report: bytes) -> BirthError | None:
    """What a process that was started later had to say, all until the end of file: nothing when it executed.

    Raises nothing; a report without the word of execution means that it was killed.
    """
    if report[:1] == bytes([EXECUTING]):
        report = report[1:]
        if not report:
            return None
    if report[:1] == bytes([FAILED]):
        return failure_from(report[1:])
    return BirthError("start", errno.ESRCH, "", "container init was killed before it could execute the program")


def failure_bytes(error: BirthError) -> bytes:
    """A BirthError as a payload, its words cut to what one packet carries."""
    texts = (error.stage, error.subject, error.message)
    tail = b"\0".join(text.encode(errors="replace")[:_TEXT_MAX] for text in texts)
    return _FAILURE.pack(error.errno or 0, error.exit_code) + tail


def failure_from(data: bytes) -> BirthError:
    """The inverse of `failure_bytes`."""
    number, exit_code = _FAILURE.unpack_from(data)
    stage, subject, message = data[_FAILURE.size :].decode(errors="replace").split("\0", 2)
    error = BirthError(stage, number, subject, message, exit_code)
    error.is_from_init = True
    return error


def pid_bytes(pid: int) -> bytes:
    """A pid as a payload."""
    return _INT.pack(pid)


def pid_from(data: bytes) -> int:
    """The inverse of `pid_bytes`."""
    return int(_INT.unpack(data)[0])
