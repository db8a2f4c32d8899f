"""clone3(2), pidfds, waitid(2) by pidfd, close_range(2): the life of processes by descriptor."""

import _thread
import ctypes
import errno
import os
import select
import signal
import struct
from typing import NamedTuple

from wherry.linux.libc import checked, declare_syscall, machine_number

CLONE_PARENT = 0x8000
CLONE_PIDFD = 0x1000
CLONE_INTO_CGROUP = 0x200000000
CLOSE_RANGE_CLOEXEC = 4
FD_MAX = 0xFFFFFFFF

_CLONED = struct.Struct("=ii")
_PIDFD_GET_INFO_SIZE = 64
_PIDFD_GET_INFO = 0xC0000000 | _PIDFD_GET_INFO_SIZE << 16 | 0xFF << 8 | 11  # _IOWR(0xFF, 11, struct pidfd_info)
_PIDFD_INFO_EXIT = 8


class CloneArgs(ctypes.Structure):
    """`struct clone_args` of clone3(2)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    )


class _PidfdInfo(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_uint64),
        ("cgroupid", ctypes.c_uint64),
        ("ids", ctypes.c_uint32 * 11),
        ("exit_code", ctypes.c_int32),
    )


class Exit(NamedTuple):
    """How a process ended: its code, or 128 plus the signal's number."""

    pid: int
    code: int


_clone3 = declare_syscall(435, ctypes.POINTER(CloneArgs), ctypes.c_size_t, locked=True)
_pidfd_send_signal = declare_syscall(424, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
_close_range = declare_syscall(436, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_ioctl = declare_syscall(machine_number(x86_64=16, aarch64=29), ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


def clone3(flags: int = 0, *, cgroup_fd: int | None = None, sibling: bool = False) -> tuple[int, int]:
    """clone3(2) without sharing memory: (pid, pidfd) in the parent, (0, -1) in the child.

    `cgroup_fd` is a v2 cgroup directory to be born in. A `sibling` gets the caller's own parent as its parent; only
    a process without other threads may ask for one. The child is to execute or _exit soon. Raises OSError.
    """
    pidfd = ctypes.c_int(-1)
    arguments = CloneArgs(flags=flags, exit_signal=signal.SIGCHLD)
    if cgroup_fd is not None:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup_fd
    if sibling:
        _make_sibling(arguments)
    elif _thread._count():  # noqa: SLF001 - threading would cost a nursery its memory
        return _clone_by_helper(arguments)
    arguments.flags |= CLONE_PIDFD
    arguments.pidfd = ctypes.addressof(pidfd)
    pid = checked(_clone3(ctypes.byref(arguments), ctypes.sizeof(arguments)), "clone3", hex(flags))
    return pid, pidfd.value if pid else -1


def _make_sibling(arguments: CloneArgs) -> None:
    # With CLONE_PARENT the child has the exit signal of the caller, and naming one is EINVAL (clone(2)).
    arguments.flags |= CLONE_PARENT
    arguments.exit_signal = 0


def _clone_by_helper(arguments: CloneArgs) -> tuple[int, int]:
    """The same from a fork, which is alone and makes a sibling of its own.

    Another thread may hold a lock, or wait for the interpreter's at this very moment: a child of the bare system call
    would wait for that thread for ever. fork(2) by the C library and Python sees to these; no other call does.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with open(reading, "rb", buffering=0) as report, open(writing, "wb", buffering=0) as telling:
        helper = os.fork()
        if not helper:
            _make_sibling(arguments)
            pid = _clone3(ctypes.byref(arguments), ctypes.sizeof(arguments))
            if not pid:
                return 0, -1
            telling.write(_CLONED.pack(pid, ctypes.get_errno()))
            os._exit(0)
        os.waitpid(helper, 0)
        telling.close()  # it may have been killed, and said nothing
        said = report.read(_CLONED.size)
    if not said:
        raise ProcessLookupError(errno.ESRCH, "clone3: the process that was to do it was killed")
    pid, number = _CLONED.unpack(said)
    ctypes.set_errno(number)
    checked(pid, "clone3", hex(arguments.flags))
    # A child of ours that was not reaped: the number is still its own.
    return pid, os.pidfd_open(pid)


def pidfd_open(pid: int) -> int:
    """pidfd_open(2); close-on-exec. Raises ProcessLookupError, OSError."""
    return os.pidfd_open(pid)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """pidfd_send_signal(2). Raises ProcessLookupError when the process is reaped, OSError."""
    checked(_pidfd_send_signal(pidfd, number, None, 0), "pidfd_send_signal", number)


def pidfd_pid(pidfd: int) -> int:
    """The pid behind a pidfd as this process's /proc shows it. Raises ProcessLookupError when it was reaped."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as info:
        for line in info:
            if line.startswith(b"Pid:"):
                pid = int(line[4:])
                if pid > 0:
                    return pid
    raise ProcessLookupError(f"pidfd {pidfd} is of no living process here")


def has_ended(pidfd: int) -> bool:
    """Whether the process is dead, reaped or not; -1 is one that was dead before a descriptor could be had."""
    if pidfd < 0:
        return True
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def wait(pidfd: int, *, block: bool = True) -> Exit | None:
    """Reap a child by its pidfd; None when it lives and `block` is false. Raises ChildProcessError."""
    found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if block else os.WNOHANG))
    if found is None:
        return None
    killed = found.si_code != os.CLD_EXITED
    return Exit(found.si_pid, 128 + found.si_status if killed else found.si_status)


def exit_of(pidfd: int) -> int | None:
    """The wait status of a dead process by PIDFD_GET_INFO, for any holder of its pidfd (Linux 6.15 and later).

    None when the kernel cannot say, or while the process lives.
    """
    info = _PidfdInfo(mask=_PIDFD_INFO_EXIT)
    if _ioctl(pidfd, _PIDFD_GET_INFO, ctypes.byref(info)) < 0 or not info.mask & _PIDFD_INFO_EXIT:
        return None
    return int(info.exit_code)


def close_range(first: int, last: int = FD_MAX, *, cloexec: bool = False) -> None:
    """close_range(2), both ends included; with `cloexec` the descriptors are only marked. Raises OSError."""
    checked(_close_range(first, last, CLOSE_RANGE_CLOEXEC if cloexec else 0), "close_range", f"{first}-{last}")
