"""name_to_handle_at(2) on pidfds: a name for a process that no later process can have (Linux 6.14 and later)."""

import ctypes
import os

from wherry.linux.libc import checked, declare

_AT_EMPTY_PATH = 0x1000
_FD_PIDFS_ROOT = -10002
_HANDLE_BYTES = 128


class _FileHandle(ctypes.Structure):
    _fields_ = (
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("f_handle", ctypes.c_ubyte * _HANDLE_BYTES),
    )


_handle = ctypes.POINTER(_FileHandle)
_name_to_handle_at = declare(
    "name_to_handle_at", ctypes.c_int, ctypes.c_char_p, _handle, ctypes.POINTER(ctypes.c_int), ctypes.c_int
)
_open_by_handle_at = declare("open_by_handle_at", ctypes.c_int, _handle, ctypes.c_int)


def process_handle(pidfd: int) -> tuple[int, bytes]:
    """(type, bytes) that name the process until the machine reboots. Raises OSError where pidfs has no handles."""
    handle = _FileHandle(handle_bytes=_HANDLE_BYTES)
    mount_id = ctypes.c_int()
    result = _name_to_handle_at(pidfd, b"", ctypes.byref(handle), ctypes.byref(mount_id), _AT_EMPTY_PATH)
    checked(result, "name_to_handle_at", f"pidfd {pidfd}")
    return handle.handle_type, bytes(handle.f_handle[: handle.handle_bytes])


def open_process(kind: int, data: bytes) -> int:
    """A pidfd of the process of that name, close-on-exec. Raises OSError: ESTALE when it is dead."""
    handle = _FileHandle(handle_bytes=len(data), handle_type=kind)
    ctypes.memmove(handle.f_handle, data, len(data))
    return checked(_open_by_handle_at(_FD_PIDFS_ROOT, ctypes.byref(handle), os.O_CLOEXEC), "open_by_handle_at")
