"""credentials(7): user and group ids of this one thread, past the C library's synchronising of all threads."""

import ctypes
import struct
from collections.abc import Sequence

from wherry.linux.libc import checked, declare_syscall, machine_number

_id = ctypes.c_uint
_setgroups = declare_syscall(machine_number(x86_64=116, aarch64=159), ctypes.c_size_t, ctypes.c_char_p)
_setresuid = declare_syscall(machine_number(x86_64=117, aarch64=147), _id, _id, _id)
_setresgid = declare_syscall(machine_number(x86_64=119, aarch64=149), _id, _id, _id)


def set_groups(gids: Sequence[int]) -> None:
    """setgroups(2): exactly these supplementary groups. Raises OSError."""
    checked(_setgroups(len(gids), struct.pack(f"{len(gids)}I", *gids)), "setgroups", gids)


def set_uid(uid: int) -> None:
    """setresuid(2) with one id for all three. Raises OSError."""
    checked(_setresuid(uid, uid, uid), "setresuid", uid)


def set_gid(gid: int) -> None:
    """setresgid(2) with one id for all three. Raises OSError."""
    checked(_setresgid(gid, gid, gid), "setresgid", gid)
