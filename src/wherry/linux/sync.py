"""syncfs(2), sync_file_range(2): have what was written on its disk."""

import ctypes
import os

from wherry.linux.libc import checked, declare

_SYNC_FILE_RANGE_WRITE = 2

_syncfs = declare("syncfs", ctypes.c_int)
_sync_file_range = declare("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def sync_filesystem(path: str | os.PathLike[str]) -> None:
    """syncfs(2) on the file system that holds a path. Raises OSError, EIO when something could not be written."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_descriptor(fd)
    finally:
        os.close(fd)


def sync_descriptor(fd: int) -> None:
    """syncfs(2) on the file system behind a descriptor. Raises OSError."""
    checked(_syncfs(fd), "syncfs", f"fd {fd}")


def begin_writing(fd: int, offset: int, count: int) -> None:
    """Have the kernel begin to write a part of a file to its disk; a later fsync(2) has less to do. Raises OSError."""
    checked(_sync_file_range(fd, offset, count, _SYNC_FILE_RANGE_WRITE), "sync_file_range", f"fd {fd}")
