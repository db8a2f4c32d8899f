"""Opening what a birth mounts from the host: the one moment at which host paths become descriptors."""

import os

from wherry.drivers.driver import MountFd, StartFailed
from wherry.libcontainer.mounts import is_made_inside, open_mount
from wherry.oci.runtime import Mount


def open_mounts(spec_mounts: tuple[Mount, ...], given: tuple[MountFd, ...]) -> tuple[MountFd, ...]:
    """The given descriptors, and those of the spec's other mounts that are not made inside.

    Raises StartFailed in runc's words and closes what was opened; those given stay open.
    """
    there = {mount.destination for mount in given}
    opened: list[MountFd] = []
    try:
        for mount in spec_mounts:
            if mount.destination not in there and not is_made_inside(mount):
                opened.append(MountFd(destination=mount.destination, fd=open_mount(mount)))
    except OSError as error:
        for each in opened:
            os.close(each.fd)
        words = f'error mounting "{mount.source}" to rootfs at "{mount.destination}": {error}'
        raise StartFailed(words, 128) from None
    return (*given, *opened)
