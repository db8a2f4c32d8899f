"""prctl(2): attributes of the calling process."""

import ctypes

from wherry.linux.libc import checked, declare

_PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_prctl = declare("prctl", ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def prctl(option: int, first: int = 0, second: int = 0, third: int = 0, fourth: int = 0) -> int:
    """prctl(2) with numbers; what it returns. Raises OSError."""
    return checked(_prctl(option, first, second, third, fourth), "prctl", option)


def set_child_subreaper(*, on: bool) -> None:
    """Orphans below this process become its children; forks do not inherit the attribute. Raises OSError."""
    prctl(_PR_SET_CHILD_SUBREAPER, int(on))


def set_dumpable(*, on: bool) -> None:
    """Off: no core dump, and only more capable processes may trace this one. execve(2) turns it on. Raises OSError."""
    prctl(_PR_SET_DUMPABLE, int(on))


def is_dumpable() -> bool:
    """Whether the process may be dumped and traced by its equals."""
    return prctl(_PR_GET_DUMPABLE) == 1


def set_keep_capabilities(*, on: bool) -> None:
    """On: permitted capabilities survive leaving uid 0; execve(2) turns it off. Raises OSError."""
    prctl(_PR_SET_KEEPCAPS, int(on))


def set_no_new_privileges() -> None:
    """From now on execve(2) grants nothing: no setuid, no file capabilities. Cannot be undone. Raises OSError."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_parent_death_signal(number: int) -> None:
    """The signal this process gets when its parent thread ends; 0 for none. Raises OSError."""
    prctl(_PR_SET_PDEATHSIG, number)


def set_name(name: bytes) -> None:
    """The thread's name as ps(1) shows it; 15 bytes count. Raises OSError."""
    text = ctypes.create_string_buffer(name[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(text))
