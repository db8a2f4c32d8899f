"""The job that measures what a snapshot itself takes: bytes of files, and inodes."""

import os
import stat

from wherry.linux.tree import measure
from wherry.storage.changes import DELETED, TreeChanges
from wherry.storage.jobs.report import run


def main() -> None:
    """Run the job."""
    run(_measure)


def _measure(kind: str, new: str, old: str) -> bytes:
    size, inodes = measure(int(new)) if kind == "overlay" else _of_trees(int(new), int(old))
    return b"ok %d %d\0" % (size, inodes)


def _of_trees(new: int, old: int) -> tuple[int, int]:
    size = inodes = 0
    for change in TreeChanges(new, old):
        if change.kind != DELETED:
            inodes += 1
            size += 0 if change.descend else _size(new, change.path)
    return size, inodes


def _size(root: int, path: str) -> int:
    try:
        status = os.stat(path, dir_fd=root, follow_symlinks=False)
    except OSError:
        return 0  # gone since; the container may be running
    return 0 if stat.S_ISDIR(status.st_mode) else status.st_size
