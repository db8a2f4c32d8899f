"""signalfd(2), and giving a program the signal dispositions it expects."""

import ctypes
import functools
import os
import signal
import struct
from collections.abc import Iterable

from wherry.linux.libc import checked, declare, declare_syscall, machine_number

_SIGNALFD_INFO_BYTES = 128
# A kernel's sigset has 64 bits; the C library's sigset_t 1024. signalfd(3) takes the latter.
_SIGSET_BYTES = 128

# The C library keeps two signals to itself and has no name for them; somebody may have ignored even those.
_RESERVED = range(32, signal.SIGRTMIN)
_KERNEL_SIGSET_BYTES = 8
# struct kernel_sigaction is handler, flags, restorer (not everywhere), mask: all zero is the default action.
_DEFAULT_ACTION = bytes(32)

_sigaction = declare_syscall(
    machine_number(x86_64=13, aarch64=134), ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
)
_signalfd = declare("signalfd", ctypes.c_int, ctypes.c_char_p, ctypes.c_int)


def open_signalfd(numbers: Iterable[int]) -> int:
    """signalfd(2) for some signals, which the caller has blocked; non-blocking, close-on-exec. Raises OSError."""
    mask = sum(1 << (number - 1) for number in numbers)
    data = struct.pack("Q", mask).ljust(_SIGSET_BYTES, b"\0")
    return checked(_signalfd(-1, data, os.O_NONBLOCK | os.O_CLOEXEC), "signalfd")


def read_signalfd(fd: int) -> list[int]:
    """The numbers of the signals that are pending now. Raises OSError."""
    try:
        data = os.read(fd, _SIGNALFD_INFO_BYTES * 16)
    except BlockingIOError:
        return []
    return [struct.unpack_from("I", data, offset)[0] for offset in range(0, len(data), _SIGNALFD_INFO_BYTES)]


def reset() -> None:
    """Give a program what it expects: nothing ignored (that survives execve(2)), nothing blocked.

    Python itself ignores SIGPIPE and SIGXFSZ, and a caller such as nohup(1) may have ignored more.
    """
    for number in ignored():
        checked(_sigaction(number, _DEFAULT_ACTION, None, _KERNEL_SIGSET_BYTES), "rt_sigaction", number)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@functools.cache
def ignored() -> tuple[int, ...]:
    """The signals that this process ignores, or may: what no later call of this process is to change.

    Asked once, by the parent of those who reset them.
    """
    known = range(1, signal.SIGRTMAX + 1)
    return tuple(each for each in known if each in _RESERVED or signal.getsignal(each) is signal.SIG_IGN)


def number_of(name: str) -> int:
    """A signal's number from `15`, `TERM` or `SIGTERM`, also `RTMIN+3`. Raises ValueError."""
    text = name.upper().removeprefix("SIG")
    if text.isdecimal():
        number = int(text)
    elif text.startswith(("RTMIN+", "RTMAX-")):
        base = signal.SIGRTMIN if text.startswith("RTMIN") else signal.SIGRTMAX
        number = base + int(text[5:])
    else:
        number = int(signal.Signals.__members__.get(f"SIG{text}", 0))
    if not 0 < number < signal.NSIG:
        raise ValueError(f"unknown signal {name!r}")
    return number
