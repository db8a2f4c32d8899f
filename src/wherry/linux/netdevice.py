"""netdevice(7): network interfaces by the old ioctls, for the little that needs no netlink."""

import fcntl
import os
import struct
from _socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFREQ = struct.Struct("16sH22x")


def set_up(name: str) -> None:
    """Switch an interface of the calling thread's network namespace on. Raises OSError."""
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        request = _IFREQ.pack(os.fsencode(name), 0)
        _, flags = _IFREQ.unpack(fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, request))
        fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, _IFREQ.pack(os.fsencode(name), flags | _IFF_UP))
    finally:
        control.close()
