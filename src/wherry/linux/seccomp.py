"""seccomp(2): put a system call filter on the calling thread, for good."""

import ctypes

from wherry.linux.libc import checked, declare_syscall, machine_number

FLAG_TSYNC = 1
FLAG_LOG = 2
FLAG_SPEC_ALLOW = 4

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2
_INSTRUCTION_BYTES = 8


class sock_fprog(ctypes.Structure):
    """A classic BPF program: a count of 8-byte instructions and where they are."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


_seccomp = declare_syscall(machine_number(x86_64=317, aarch64=277), ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


def install(program: bytes, flags: int = 0) -> None:
    """Filter every further system call of this thread and its children.

    Raises OSError: EACCES without no_new_privs or CAP_SYS_ADMIN, EINVAL for a program the kernel rejects.
    """
    filter_ = sock_fprog(len(program) // _INSTRUCTION_BYTES, program)
    checked(_seccomp(_SET_MODE_FILTER, flags, ctypes.byref(filter_)), "seccomp", "SECCOMP_SET_MODE_FILTER")


def is_action_available(action: int) -> bool:
    """Whether the kernel knows a return action, such as 0x7fc00000 for LOG."""
    return _seccomp(_GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint(action))) == 0
