"""The job that says what stands at a path in a container."""

import os

from wherry.storage import confine, paths
from wherry.storage.jobs.inside import enter, told
from wherry.storage.jobs.report import run


def main() -> None:
    """Run the job."""
    run(_look)


def _look(path: str, *view: str) -> bytes:
    root = enter(view, capabilities=confine.READS)
    return told(paths.look(root, paths.absolute(os.fsencode(path))))
