"""ioctl_tty(2) and pty(7): pseudoterminals by descriptor, sizes, the controlling terminal."""

import ctypes
import fcntl
import os
import struct
import termios

from wherry.linux.libc import checked, declare

_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430

_ioctl = declare("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_long)


def unlock(master: int) -> None:
    """TIOCSPTLCK: allow the other end of a fresh pty to be opened. Raises OSError."""
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))


def number(master: int) -> int:
    """TIOCGPTN: the N of /dev/pts/N. Raises OSError."""
    return int(struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0])


def open_peer(master: int) -> int:
    """TIOCGPTPEER: the other end by the master's descriptor, so no path can mislead; close-on-exec. Raises OSError."""
    return checked(_ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), "ioctl TIOCGPTPEER", master)


def set_size(fd: int, *, height: int, width: int) -> None:
    """TIOCSWINSZ, in characters; the foreground process group gets SIGWINCH. Raises OSError."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def size(fd: int) -> tuple[int, int]:
    """TIOCGWINSZ: (height, width) in characters. Raises OSError."""
    height, width, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return height, width


def set_controlling(fd: int) -> None:
    """TIOCSCTTY: a session leader without a terminal takes this one. Raises OSError."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
