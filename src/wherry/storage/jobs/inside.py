"""What the jobs inside of a container's file system have in common: entering it, and telling what stands at a path."""

import errno
import os
from collections.abc import Sequence

from wherry.storage import confine
from wherry.storage.jobs.report import DONE
from wherry.storage.paths import Found
from wherry.storage.view import read_view


def enter(view: Sequence[str], *, capabilities: Sequence[str]) -> int:
    """Lock the process into the view that the words tell; the descriptor of its root. Raises OSError."""
    try:
        confine.enter_view(read_view(view), capabilities=capabilities)
    except OSError as error:
        # No errno here may be taken for one of the path that the client named.
        raise OSError(errno.EIO, f"entering the container's file system: {error}") from None
    return os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def told(found: Found) -> bytes:
    """Success, and what stands there, in the parts of a report."""
    numbers = b"%d\0%d\0%d\0" % (found.size, found.mode, found.mtime_ns)
    return DONE + found.name + b"\0" + numbers + found.target + b"\0"
