"""The job that makes a layer of what a container changed: a copy of its files, and the digest of the tar they are.

The tar itself is not written: packing the copy again gives the same bytes.
"""

import hashlib
import threading

from wherry.linux.sync import sync_descriptor
from wherry.linux.tree import copy, measure
from wherry.storage.changes import OverlayChanges, TreeChanges
from wherry.storage.jobs.report import run
from wherry.storage.pack import pack


def main() -> None:
    """Run the job."""
    run(_capture)


def _capture(kind: str, new: str, old: str, target: str) -> bytes:
    """`target` is an empty directory, `old` the tree of the layers below. Tells the digest and the size of the tar."""
    source, layer, below = int(new), int(target), int(old)
    copy(source, layer, as_layer=kind == "overlay")
    # On its way to the disk while it is hashed; whether it arrived is asked when the layer is published.
    threading.Thread(target=sync_descriptor, args=(layer,), daemon=True).start()
    digest, size = hashlib.sha256(), 0

    def add(piece: bytes) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)

    changes = OverlayChanges(layer, below, spell_out=False) if kind == "overlay" else TreeChanges(layer, below)
    pack(layer, changes, add)
    taken, inodes = measure(layer) if kind == "overlay" else (0, 0)
    return b"ok %d %d\0sha256:%s\0%d\0" % (taken, inodes, digest.hexdigest().encode(), size)
