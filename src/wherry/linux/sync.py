"""syncfs(2): have everything that was written to one file system on its disk."""

import ctypes
import os

from wherry.linux.libc import checked, declare

_syncfs = declare("syncfs", ctypes.c_int)


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
