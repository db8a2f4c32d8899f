"""The job that writes what a snapshot changes over its parent as a layer tar to standard output."""

from wherry.storage.changes import OverlayChanges, TreeChanges
from wherry.storage.jobs.report import DONE, run
from wherry.storage.pack import pack, write_to


def main() -> None:
    """Run the job."""
    run(_diff)


def _diff(kind: str, new: str, old: str) -> bytes:
    root, parent = int(new), int(old)
    changes = OverlayChanges(root, parent, spell_out=False) if kind == "overlay" else TreeChanges(root, parent)
    pack(root, changes, write_to(1))
    return DONE
