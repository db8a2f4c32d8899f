"""The job that enters another mount namespace and sends a detached copy of one mount in it back."""

import os
import socket

from wherry.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2
from wherry.linux.mount import open_tree
from wherry.linux.namespaces import CLONE_NEWNS, setns
from wherry.storage.jobs.report import DONE, run


def main() -> None:
    """Run the job."""
    run(_reach)


def _reach(channel: str, namespace: str, path: str) -> bytes:
    """From the entry on nothing is imported or executed: the files are somebody else's."""
    with socket.socket(fileno=int(channel)) as peer:
        setns(int(namespace), CLONE_NEWNS)
        place = openat2(-100, path, os.O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
        tree = open_tree("", dir_fd=place)
        socket.send_fds(peer, [b"."], [tree])
    return DONE
