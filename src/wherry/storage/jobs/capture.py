"""The job that makes a layer of what a container changed: a copy of its files, and the digest of the tar they are.

The tar itself is not written: packing the copy again gives the same bytes.
"""

import hashlib
import itertools
import os
import stat
import threading

from wherry.linux.sync import sync_descriptor
from wherry.linux.tree import copy, measure, walk
from wherry.storage.changes import OverlayChanges, TreeChanges
from wherry.storage.jobs.report import run
from wherry.storage.pack import pack

# So many files are synced one by one.
FEW = 200
# So many bytes are worth a thread.
MUCH = 1 << 20


def main() -> None:
    """Run the job."""
    run(_capture)


def _capture(kind: str, new: str, old: str, target: str) -> bytes:
    """`target` is an empty directory, `old` the tree of the layers below. Tells the digest and the size of the tar."""
    source, layer, below = int(new), int(target), int(old)
    copy(source, layer, as_layer=kind == "overlay", to_be_synced=True)
    taken, inodes = measure(layer) if kind == "overlay" else (0, 0)
    failures: list[OSError] = []
    syncing = threading.Thread(target=_sync, args=(layer, failures))
    if is_much := kind != "overlay" or taken > MUCH:
        syncing.start()  # on its way to the disk while it is hashed
    digest, size = hashlib.sha256(), 0

    def add(piece: bytes) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)

    changes = OverlayChanges(layer, below, spell_out=False) if kind == "overlay" else TreeChanges(layer, below)
    pack(layer, changes, add)
    if is_much:
        syncing.join()
    else:
        _sync(layer, failures)
    for failure in failures:
        raise failure
    return b"ok %d %d\0sha256:%s\0%d\0" % (taken, inodes, digest.hexdigest().encode(), size)


def _sync(layer: int, failures: list[OSError]) -> None:
    """Have it on the disk: few files one by one, as the whole file system may have much more to write than ours."""
    try:
        entries = list(itertools.islice(walk(layer), FEW + 1))
        if len(entries) > FEW:
            sync_descriptor(layer)
            return
        for path, status in entries:
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                _sync_one(layer, path)
        os.fsync(layer)
    except OSError as error:
        failures.append(error)


def _sync_one(layer: int, path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=layer)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
