"""capabilities(7): a process's five sets, as sets of numbers."""

import ctypes
import errno
import functools
from collections.abc import Iterable
from typing import NamedTuple

from wherry.linux.libc import checked, declare
from wherry.linux.prctl import prctl

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""Every capability by its number (include/uapi/linux/capability.h, Linux 5.9 and later)."""

NUMBERS = {name: number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_WORD_BITS = 32

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_AMBIENT_IS_SET = 1
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4


class cap_user_header(ctypes.Structure):
    """Which version of the interface, and whose sets; pid 0 is the caller."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class cap_user_data(ctypes.Structure):
    """32 capabilities of three sets."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_Data = cap_user_data * 2
_capget = declare("capget", ctypes.POINTER(cap_user_header), ctypes.POINTER(cap_user_data))
_capset = declare("capset", ctypes.POINTER(cap_user_header), ctypes.POINTER(cap_user_data))


class Sets(NamedTuple):
    """The three sets that capget(2) and capset(2) know, as bit masks: bit n is capability n."""

    effective: int
    permitted: int
    inheritable: int


@functools.cache
def last_capability() -> int:
    """The highest capability that the running kernel knows; asked of prctl(2), since a container's /proc may lie."""
    number = len(NAMES) - 1
    while not _is_known(number):
        number -= 1
    while _is_known(number + 1):
        number += 1
    return number


def mask(numbers: Iterable[int]) -> int:
    """Numbers as a bit mask."""
    result = 0
    for number in numbers:
        result |= 1 << number
    return result


def numbers_in(bits: int) -> tuple[int, ...]:
    """A bit mask as numbers, in order."""
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def capget(pid: int = 0) -> Sets:
    """The sets of a process, 0 for the caller. Raises OSError."""
    data = _Data()
    checked(_capget(cap_user_header(_VERSION_3, pid), data), "capget", pid)
    return Sets(*(getattr(data[0], name) | getattr(data[1], name) << _WORD_BITS for name in Sets._fields))


def capset(sets: Sets) -> None:
    """Set the caller's sets. Raises OSError: EPERM when more is asked for than is permitted."""
    low = (1 << _WORD_BITS) - 1
    data = _Data(
        cap_user_data(*(bits & low for bits in sets)),
        cap_user_data(*(bits >> _WORD_BITS for bits in sets)),
    )
    checked(_capset(cap_user_header(_VERSION_3, 0), data), "capset")


def in_bounding_set(number: int) -> bool:
    """Whether execve(2) may ever grant this capability. Raises OSError: EINVAL when the kernel does not know it."""
    return prctl(_PR_CAPBSET_READ, number) == 1


def drop_from_bounding_set(number: int) -> None:
    """Give a capability up for good. Raises OSError: EPERM without CAP_SETPCAP."""
    prctl(_PR_CAPBSET_DROP, number)


def in_ambient_set(number: int) -> bool:
    """Whether the capability survives execve(2) of an ordinary program. Raises OSError."""
    return prctl(_PR_CAP_AMBIENT, _AMBIENT_IS_SET, number) == 1


def raise_ambient(number: int) -> None:
    """Let a capability survive execve(2). Raises OSError: EPERM unless it is permitted and inheritable."""
    prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number)


def clear_ambient() -> None:
    """Empty the ambient set. Raises OSError."""
    prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)


def _is_known(number: int) -> bool:
    try:
        in_bounding_set(number)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True
