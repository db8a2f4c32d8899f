"""namespaces(7): unshare(2), setns(2) and which kinds there are."""

import ctypes
import errno
import os

from wherry.linux.libc import declare, failure

CLONE_NEWTIME = 0x80
CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# By the names of /proc/PID/ns.
KINDS: dict[str, int] = {
    "user": CLONE_NEWUSER,
    "mnt": CLONE_NEWNS,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "cgroup": CLONE_NEWCGROUP,
    "time": CLONE_NEWTIME,
}

_unshare = declare("unshare", ctypes.c_int)
_setns = declare("setns", ctypes.c_int, ctypes.c_int)


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    if _unshare(flags) < 0:
        raise failure(ctypes.get_errno(), "unshare", describe(flags))


def setns(fd: int, flags: int = 0) -> None:
    """setns(2): a namespace's descriptor, or a pidfd and all the kinds to join of that process. Raises OSError."""
    if _setns(fd, flags) < 0:
        raise failure(ctypes.get_errno(), "setns", describe(flags))


def describe(flags: int) -> str:
    """The kinds in a set of flags, for messages."""
    return ",".join(name for name, flag in KINDS.items() if flags & flag)


def differing(pid: int) -> int:
    """The kinds in which another process is elsewhere than this one, as flags. Raises ProcessLookupError."""
    flags = 0
    for name, flag in KINDS.items():
        try:
            own = os.stat(f"/proc/self/ns/{name}")
        except FileNotFoundError:
            continue  # a kernel without this kind
        try:
            theirs = os.stat(f"/proc/{pid}/ns/{name}")
        except FileNotFoundError:
            # A process lets go of its namespaces before it is dead.
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
        if own.st_ino != theirs.st_ino:
            flags |= flag
    return flags
