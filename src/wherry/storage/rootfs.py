"""Open snapshots and trees as descriptors."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wherry.linux.mount import MOUNT_ATTR_RDONLY, MS_PRIVATE, mount_setattr, open_tree


class Mounted:
    """A snapshot as the descriptor of a detached mount (the Rootfs of storage.driver)."""

    def __init__(self, fd: int, *, read_only: bool = False) -> None:
        if read_only:
            mount_setattr("", dir_fd=fd, attributes=MOUNT_ATTR_RDONLY)
        self._fd = fd

    @property
    def fd(self) -> int:
        """Good for openat2(2), move_mount(2) and dup(2) until the context is left."""
        return self._fd


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A directory's descriptor, closed at the end. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def bind(path: Path) -> int:
    """A directory as the descriptor of a detached mount that nothing mounted elsewhere reaches. Raises OSError."""
    fd = open_tree(str(path))
    mount_setattr("", dir_fd=fd, propagation=MS_PRIVATE)
    return fd


def copy_root_attributes(source: Path, target: Path) -> None:
    """Owner, mode and time of one root directory to another. Raises OSError."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
