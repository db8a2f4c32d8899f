"""The job that makes a layer of what a container changed: a copy of its files, and the digest of the tar they are.

The tar itself is not written: packing the copy again gives the same bytes.
"""

import hashlib
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from typing import NamedTuple

from wherry.linux.sync import sync_descriptor
from wherry.linux.tree import copy, measure, open_directory, walk
from wherry.storage.changes import OverlayChanges, TreeChanges
from wherry.storage.jobs.report import run
from wherry.storage.pack import pack

# So many files are synced one by one, and captured without a process for that.
FEW = 200
# So many bytes are worth a thread, or a process.
MUCH = 1 << 20


class Captured(NamedTuple):
    """The tar that a layer is: its digest, its size in bytes; what the layer takes on disk, and whether it is there."""

    diff_id: str
    tar_bytes: int
    bytes: int
    inodes: int
    is_synced: bool


def main() -> None:
    """Run the job."""
    run(_capture)


def _capture(kind: str, new: str, old: str, target: str) -> bytes:
    found = capture(kind, int(new), int(old), int(target))
    if not found.is_synced:
        sync(int(target))
    return b"ok %d %d\0%s\0%d\0" % (found.bytes, found.inodes, found.diff_id.encode(), found.tar_bytes)


def is_small(tree: int) -> bool:
    """Whether so little is below a directory that it is no work, and stays there for as long as one looks."""
    directories, count, size = [""], 0, 0
    try:
        while directories:
            for path, status in _entries(tree, directories.pop()):
                count, size = count + 1, size + status.st_size
                if count > FEW or size > MUCH:
                    return False
                if stat.S_ISDIR(status.st_mode):
                    directories.append(path)
    except OSError:
        return False
    return True


def _entries(tree: int, directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """What is in a directory, one after the other: it may be a million."""
    fd = open_directory(tree, directory)
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                yield os.path.join(directory, entry.name), entry.stat(follow_symlinks=False)
    finally:
        os.close(fd)


def capture(kind: str, new: int, old: int, target: int) -> Captured:
    """Copy into the empty directory `target` what the tree `new` has over `old`, that of the layers below.

    What is much is on its way to the disk while it is hashed; what is little, the caller has to sync. Raises OSError.
    """
    copy(new, target, as_layer=kind == "overlay", to_be_synced=True)
    taken, inodes = measure(target) if kind == "overlay" else (0, 0)
    failures: list[OSError] = []
    syncing = threading.Thread(target=_sync_aside, args=(target, failures))
    if is_much := kind != "overlay" or taken > MUCH:
        syncing.start()
    digest, size = hashlib.sha256(), 0

    def add(piece: bytes) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)

    changes = OverlayChanges(target, old, spell_out=False) if kind == "overlay" else TreeChanges(target, old)
    pack(target, changes, add)
    if is_much:
        syncing.join()
    for failure in failures:
        raise failure
    return Captured(f"sha256:{digest.hexdigest()}", size, taken, inodes, is_much)


def _sync_aside(layer: int, failures: list[OSError]) -> None:
    try:
        sync(layer)
    except OSError as error:
        failures.append(error)


def sync(layer: int) -> None:
    """Have a layer on the disk: few files one by one, as the file system may have much more to write than ours.

    Raises OSError.
    """
    entries = list(itertools.islice(walk(layer), FEW + 1))
    if len(entries) > FEW:
        sync_descriptor(layer)
        return
    for path, status in entries:
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            _sync_one(layer, path)
    os.fsync(layer)


def _sync_one(layer: int, path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=layer)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
