"""The job that mounts overlayfs by mount(2), in a mount namespace of its own, and sends the detached mount back."""

import os
import socket

from wherry.linux.mount import MNT_DETACH, MS_PRIVATE, MS_REC, mount, open_tree, umount2
from wherry.linux.namespaces import CLONE_NEWNS, unshare
from wherry.storage.jobs.report import DONE, run


def main() -> None:
    """Run the job."""
    run(_mount)


def _mount(channel: str, options: str, upper: str, work: str, *lowers: str) -> bytes:
    """All layers in one option string, short because each is the number of a descriptor below /proc/self/fd."""
    unshare(CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    # Opened only now: overlayfs takes layers of the caller's own mount namespace and no others.
    numbers = [os.open(path, os.O_PATH | os.O_DIRECTORY) if path else -1 for path in (upper, work, *lowers)]
    os.chdir("/proc/self/fd")
    layers = "lowerdir=" + ":".join(map(str, numbers[2:]))
    if upper:
        layers += f",upperdir={numbers[0]},workdir={numbers[1]}"
    target = os.path.dirname(lowers[0])
    mount("overlay", target, "overlay", 0, f"{layers},{options}")
    tree = open_tree(target)
    umount2(target, MNT_DETACH)
    with socket.socket(fileno=int(channel)) as peer:
        socket.send_fds(peer, [b"."], [tree])
    return DONE
