"""The file system of the data root: overlayfs, mapped mounts, room."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wherry.bootstrap.doctor.check import Check, missing, ok, warning, why_not
from wherry.linux.mount import mount_setattr, open_tree
from wherry.linux.namespaces import CLONE_NEWUSER, unshare
from wherry.storage.hostfs import filesystem_name
from wherry.storage.overlaymount import why_not as why_no_overlay

BYTES_MIN = 1 << 30
INODES_MIN = 50_000
_MOUNT_ATTR_IDMAP = 0x00100000


def checks(data_root: Path) -> Iterator[Check]:
    """All of them, tried in the data root, or where it would be made."""
    place = next(each for each in (data_root, *data_root.parents) if each.is_dir())
    failure = why_not(lambda: _try_overlay(place))
    if failure:
        meaning = "images can be kept by --storage-driver vfs only, which copies each layer whole"
        advice = "put --data-root on ext4, xfs or btrfs"
        yield missing("overlay", f"{place}: {failure}", meaning, advice)
    else:
        yield ok("overlay", f"works on {filesystem_name(place)}, in {place}")
    failure = why_not(lambda: _try_mapped_mount(place))
    if failure:
        meaning = "files cannot be shown to a container as another user's"
        yield warning("mapped mounts", failure, meaning, "nothing that is served now needs it")
    else:
        yield ok("mapped mounts", f"work on {filesystem_name(place)}")
    yield from _room(place)


def _try_overlay(place: Path) -> None:
    failure = why_no_overlay(place)
    if failure:
        raise OSError(failure)


def _try_mapped_mount(place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="check-", dir=place) as directory:
        tree = open_tree(directory)
        users = _user_namespace()
        try:
            mount_setattr("", dir_fd=tree, attributes=_MOUNT_ATTR_IDMAP, userns_fd=users)
        finally:
            os.close(users)
            os.close(tree)


def _user_namespace() -> int:
    """A fresh one's descriptor, lent by a child that waits until it was taken. Raises OSError."""
    (told, tell), (stay, leave) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(leave)
            unshare(CLONE_NEWUSER)
            os.write(tell, b"x")
            os.read(stay, 1)
        finally:
            os._exit(0)
    for fd in (tell, stay):
        os.close(fd)
    try:
        if not os.read(told, 1):
            raise OSError("no user namespace can be made")
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{kind}").write_text("0 100000 65536")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(told)
        os.close(leave)
        os.waitpid(child, 0)


def _room(place: Path) -> Iterator[Check]:
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    shown = f"{free / 1e9:.1f} GB free in {place}"
    if free < BYTES_MIN:
        meaning = "images and logs will soon find no room"
        yield warning("free space", shown, meaning, "remove what is not needed, or move --data-root")
    else:
        yield ok("free space", shown)
    # File systems that make inodes as they go say 0 of 0.
    if found.f_files and found.f_favail < INODES_MIN:
        meaning = "layers of many small files will find no room, although space is free"
        advice = "remove what is not needed, or make a file system with more inodes (mkfs.ext4 -N)"
        yield warning("free inodes", f"{found.f_favail} free in {place}", meaning, advice)
    else:
        yield ok("free inodes", f"{found.f_favail} free" if found.f_files else "made as they are needed")
