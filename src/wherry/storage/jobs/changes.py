"""The job that lists what a snapshot changes over its parent, to standard output, each path ended by NUL."""

import os

from wherry.storage.changes import OverlayChanges, TreeChanges
from wherry.storage.jobs.report import DONE, run

_BUFFER_SIZE = 1 << 16


def main() -> None:
    """Run the job."""
    run(_changes)


def _changes(kind: str, new: str, old: str) -> bytes:
    root, parent = int(new), int(old)
    changes = OverlayChanges(root, parent, spell_out=True) if kind == "overlay" else TreeChanges(root, parent)
    with os.fdopen(1, "wb", buffering=_BUFFER_SIZE) as out:
        for change in changes:
            out.write(change.kind.encode() + b"/" + os.fsencode(change.path) + b"\0")
    return DONE
