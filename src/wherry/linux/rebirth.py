"""Going on as another process, in new namespaces, with all the memory one has: not a page of it is copied.

fork(2) and clone3(2) share pages until somebody writes them, and Python writes wherever it reads, as it counts
references: 2 us and more for each page, thousands of pages. Here the new process gets the memory itself (CLONE_VM),
while the old one stands still inside clone(2) (CLONE_VFORK), where it is ended: it never runs again, so the new one
may go on with its stack. It ends by a signal that a pipe makes when it is written to (O_ASYNC, fcntl(2)), as the new
process may be in a pid namespace in which the old one has no pid.
"""

import ctypes
import fcntl
import os
import signal

from wherry.linux.libc import checked, declare_syscall, machine_number
from wherry.linux.process import CLONE_INTO_CGROUP, CLONE_PARENT, CloneArgs

_CLONE_VM = 0x100
_CLONE_VFORK = 0x4000
_CLONE_PARENT_SETTID = 0x100000
_F_SETSIG = 10
_HOW = _CLONE_VM | _CLONE_VFORK | CLONE_PARENT | _CLONE_PARENT_SETTID

_clone3 = declare_syscall(435, ctypes.POINTER(CloneArgs), ctypes.c_size_t, locked=True)
# The order of the last two arguments differs between machines; both are 0.
_clone = declare_syscall(
    machine_number(x86_64=56, aarch64=220),
    *(ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong),
    locked=True,
)


class Rebirth:
    """A process's readiness to go on as another. To be made while it still may do what it wants, used once."""

    def __init__(self) -> None:
        """Lay the pipes. Raises OSError."""
        self._pid = ctypes.c_int(0)
        self._arguments = CloneArgs()
        self._end, self._trigger = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._gone, self._alive = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(self._end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._end, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(self._end, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

    @property
    def fds(self) -> tuple[int, ...]:
        """What has to stay open until it is used."""
        return self._end, self._trigger, self._gone, self._alive

    def go_on(self, flags: int = 0, *, cgroup_fd: int | None = None) -> int:
        """Return in the new process, whose pid it is where the old one was; that one is dead then, by SIGKILL.

        `flags` are the namespaces to make. The new process is the child of the old one's parent, which reaps both;
        `cgroup_fd` is a v2 cgroup directory to be born in. The caller must be single-threaded, and goes on living
        when this raises OSError.
        """
        where = ctypes.addressof(self._pid)
        if cgroup_fd is None:
            # clone(2), as Docker's system call filter, which may be on already, refuses clone3(2).
            result = _clone(_HOW | flags, 0, where, 0, 0)
        else:
            # With CLONE_PARENT the exit signal is the caller's own, and naming one is EINVAL (clone(2)).
            said = self._arguments
            said.flags, said.parent_tid, said.cgroup = _HOW | flags | CLONE_INTO_CGROUP, where, cgroup_fd
            result = _clone3(ctypes.byref(said), ctypes.sizeof(said))
        if checked(result, "clone", hex(flags)):
            os._exit(1)  # the old process wakes only when the new one was killed at once
        os.write(self._trigger, b"x")
        os.close(self._alive)
        os.read(self._gone, 1)  # its end: nobody else has the memory any more
        for fd in (self._end, self._trigger, self._gone):
            os.close(fd)
        return self._pid.value
