"""The job that copies a whole tree."""

from wherry.linux.tree import copy
from wherry.storage.jobs.report import DONE, run


def main() -> None:
    """Run the job."""
    run(_copy)


def _copy(source: str, target: str) -> bytes:
    copy(int(source), int(target))
    return DONE
