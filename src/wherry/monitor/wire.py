"""Messages with descriptors over SOCK_SEQPACKET: what one side sends as one, the other receives as one.

A packet is a letter and a body. `F` carries descriptors ahead of the message they belong to, because one packet
takes at most 253 of them (unix(7)); `M` is the message; `L` is a long message, whose body came as a memfd, the last
of its descriptors, because a packet has to fit into the socket's buffer.
"""

import os
import select
import socket
import struct

_FDS_PER_PACKET = 250
_INLINE_BYTES_MAX = 32768
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_PACKET_BYTES = _INLINE_BYTES_MAX + 1
_INT = struct.Struct("i")
_ANCILLARY_BYTES = socket.CMSG_SPACE(253 * _INT.size)
_AHEAD, _MESSAGE, _LONG = b"F", b"M", b"L"

Packet = tuple[bytes, tuple[int, ...]]


class ConnectionLost(ConnectionError):
    """The other side is gone, or says something that is no message."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def packets(body: bytes, fds: tuple[int, ...] = ()) -> tuple[list[Packet], int | None]:
    """A message as packets to send in order, and the memfd to close after that, when there is one."""
    memfd = None
    letter = _MESSAGE
    if len(body) > _INLINE_BYTES_MAX:
        memfd = os.memfd_create("message", os.MFD_CLOEXEC)
        with open(memfd, "wb", closefd=False) as file:
            file.write(body)
        letter, body, fds = _LONG, b"", (*fds, memfd)
    found: list[Packet] = []
    while len(fds) > _FDS_PER_PACKET:
        found.append((_AHEAD, fds[:_FDS_PER_PACKET]))
        fds = fds[_FDS_PER_PACKET:]
    found.append((letter + body, fds))
    return found, memfd


def send_packet(connection: socket.socket, packet: Packet) -> None:
    """Send one packet. Raises BlockingIOError, ConnectionError."""
    data, fds = packet
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    connection.sendmsg([data], rights, socket.MSG_NOSIGNAL)


def send(connection: socket.socket, body: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send a message on a blocking socket; the descriptors stay the caller's. Raises ConnectionError."""
    found, memfd = packets(body, fds)
    try:
        for packet in found:
            send_packet(connection, packet)
    finally:
        if memfd is not None:
            os.close(memfd)


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Wait on a blocking socket for a whole message, as `Receiver` has it. Raises ConnectionLost."""
    receiver = Receiver()
    while True:
        received = receiver.receive(connection)
        if received is not None:
            return received


class Receiver:
    """Puts packets together again."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._ahead: list[int] = []

    def receive(self, connection: socket.socket) -> tuple[bytes, list[int]] | None:
        """Take one packet; a whole message with its close-on-exec descriptors, or None while more is to come.

        Raises ConnectionLost, BlockingIOError.
        """
        try:
            data, ancillary, flags, _ = connection.recvmsg(_PACKET_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError as error:
            raise ConnectionLost(str(error)) from None
        for level, kind, rights in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._ahead += [number for (number,) in _INT.iter_unpack(rights[: len(rights) // 4 * 4])]
        if not data or flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            self.close()
            raise ConnectionLost("the connection has ended" if not data else "a packet was cut")
        letter, body = data[:1], data[1:]
        if letter == _AHEAD:
            return None
        if letter == _LONG:
            body = _read_whole(self._ahead.pop())
        fds, self._ahead = self._ahead, []
        return body, fds

    def close(self) -> None:
        """Close descriptors whose message never came."""
        close_all(self._ahead)
        self._ahead = []


def await_end(fd: int, seconds: float) -> None:
    """Wait until a pipe's other end is closed, but not for ever. Raises OSError."""
    poll = select.poll()
    poll.register(fd, select.POLLHUP)
    poll.poll(seconds * 1000)


def close_all(fds: list[int] | tuple[int, ...]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def _read_whole(memfd: int) -> bytes:
    try:
        size = os.fstat(memfd).st_size
        if size > _MESSAGE_BYTES_MAX:
            raise ConnectionLost(f"a message of {size} bytes")
        return os.pread(memfd, size, 0)
    finally:
        os.close(memfd)
