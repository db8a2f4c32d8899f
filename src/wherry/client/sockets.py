"""What a connection of either kind does to its socket that a command line needs seldom: time limits, an end at once."""

from __future__ import annotations

from _socket import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as RawSocket  # noqa: N812 - the C class below `socket.socket`

SHUT_RDWR = 2
SECONDS_MIN = 0.000001


def limit(socket: RawSocket, seconds: float | None) -> None:
    """Have the kernel wait no longer than that (SO_RCVTIMEO, SO_SNDTIMEO in socket(7)), None for ever."""
    wanted = max(seconds, SECONDS_MIN) if seconds is not None else 0.0
    time = pack("@ll", int(wanted), int(wanted % 1 * 1_000_000))
    socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, time)
    socket.setsockopt(SOL_SOCKET, SO_SNDTIMEO, time)


def hang_up(socket: RawSocket) -> None:
    """shutdown(2) of both directions; a socket that is not connected any more is fine."""
    try:
        socket.shutdown(SHUT_RDWR)
    except OSError:
        pass  # the other side has left already
