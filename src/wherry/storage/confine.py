"""Locks the worker process into the tree it works on, before it reads a byte of what a stranger wrote."""

import os
import resource
import stat
import sys
from collections.abc import Sequence

from wherry.linux.capability import NUMBERS, Sets, capset, drop_from_bounding_set, in_bounding_set, mask
from wherry.linux.files import TMPFS_MAGIC, filesystem_type, make_directory_inside, make_file_inside, open_inside
from wherry.linux.mount import (
    AT_FDCWD,
    MNT_DETACH,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root,
    umount2,
)
from wherry.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, setns, unshare
from wherry.linux.prctl import set_dumpable, set_no_new_privileges
from wherry.linux.seccomp import install
from wherry.storage import callfilter
from wherry.storage.view import View

_ADDRESS_SPACE_MAX = 2 << 30
WRITES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_MKNOD",
    "CAP_SETFCAP",
)


# What is looked at or unpacked is data: no device of it is opened, nothing in it executed.
_DATA = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
READS = ("CAP_DAC_READ_SEARCH",)


def enter_view(view: View, *, capabilities: Sequence[str]) -> None:
    """Make a container's file system the whole world, with its mounts in it, as data. Raises OSError.

    Of a running container it is the mount that its own root is, which its processes see too; never its /proc or /dev.
    """
    root = view.root
    mounts = list(view.mounts)
    if view.namespace >= 0:
        setns(view.namespace, CLONE_NEWNS)
        os.close(view.namespace)
        root = open_tree("/")
        mounts += [(copy, place) for place in view.memories if (copy := _copy_of_tmpfs(place)) >= 0]
    unshare(CLONE_NEWNS | (0 if callfilter.program() else CLONE_NEWNET | CLONE_NEWIPC))
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    _attach(root, "/")
    os.fchdir(root)
    for copy, place in mounts:
        _attach_inside(root, copy, place)
    os.close(root)
    pivot_root(".", ".")
    umount2(".", MNT_DETACH)
    os.chdir("/")
    seal(capabilities)


def _attach(tree: int, place: str, *, dir_fd: int = AT_FDCWD) -> None:
    mount_setattr("", dir_fd=tree, attributes=_DATA, propagation=MS_PRIVATE, recursive=True)
    move_mount(tree, place, dir_fd=dir_fd)


def _attach_inside(root: int, tree: int, place: str) -> None:
    """On a directory or file that is made where it is missing, whatever symlinks the container left on the way."""
    make = make_directory_inside if stat.S_ISDIR(os.fstat(tree).st_mode) else make_file_inside
    target = make(root, place)
    try:
        _attach(tree, "", dir_fd=target)
    finally:
        os.close(target)
        os.close(tree)


def _copy_of_tmpfs(place: str) -> int:
    """A detached copy of what a container keeps in memory there; -1 when it is something else by now."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        found = open_inside(root, place, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return -1
    finally:
        os.close(root)
    try:
        return open_tree("", dir_fd=found) if filesystem_type(found) == TMPFS_MAGIC else -1
    except OSError:
        return -1  # no mount any more
    finally:
        os.close(found)


def enter(root: int) -> None:
    """Make a directory the whole world: own namespaces, no way back, few capabilities, no new code. Raises OSError."""
    # A copy of the mount is made while the descriptor still belongs to this mount namespace.
    os.fchdir(root)
    tree = open_tree("", dir_fd=root)
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    move_mount(tree, ".")
    os.fchdir(tree)
    os.close(tree)
    os.close(root)
    pivot_root(".", ".")
    umount2(".", MNT_DETACH)
    os.chdir("/")
    seal()


def seal(capabilities: Sequence[str] = WRITES) -> None:
    """Give up what the work does not need, and the power to import: the tree may hold a Python of its own."""
    sys.path.clear()
    sys.meta_path.clear()
    os.umask(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_MAX, _ADDRESS_SPACE_MAX))
    keep = mask(NUMBERS[name] for name in capabilities)
    for number in NUMBERS.values():
        if not keep >> number & 1 and in_bounding_set(number):
            drop_from_bounding_set(number)
    capset(Sets(keep, keep, 0))
    set_no_new_privileges()
    set_dumpable(on=False)
    calls = callfilter.program()
    if calls:
        install(calls)
