"""The name of the file system below a driver's directory, as `docker info` prints it."""

import os
from pathlib import Path

from wherry.linux.files import filesystem_type

# statfs(2) f_type, named as moby's storage drivers name them.
_NAMES = {
    0xEF53: "extfs",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x2FC12FC1: "zfs",
    0x794C7630: "overlayfs",
    0x65735546: "fuse",
    0x6969: "nfs",
    0xF2F52010: "f2fs",
}


def filesystem_name(path: Path) -> str:
    """The backing file system's name, `<unknown>` for one that nobody named. Raises OSError."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _NAMES.get(filesystem_type(fd), "<unknown>")
    finally:
        os.close(fd)
