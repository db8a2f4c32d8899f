"""Locks the worker process into the tree it works on, before it reads a byte of what a stranger wrote."""

import os
import resource
import sys

from wherry.linux.capability import NUMBERS, Sets, capset, drop_from_bounding_set, in_bounding_set, mask
from wherry.linux.mount import MNT_DETACH, MS_PRIVATE, MS_REC, mount, move_mount, open_tree, pivot_root, umount2
from wherry.linux.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, unshare
from wherry.linux.prctl import set_dumpable, set_no_new_privileges
from wherry.linux.seccomp import install
from wherry.storage import callfilter

_ADDRESS_SPACE_MAX = 2 << 30
_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_MKNOD",
    "CAP_SETFCAP",
)


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


def seal() -> None:
    """Give up what the work does not need, and the power to import: the tree may hold a Python of its own."""
    sys.path.clear()
    sys.meta_path.clear()
    os.umask(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_MAX, _ADDRESS_SPACE_MAX))
    keep = mask(NUMBERS[name] for name in _CAPABILITIES)
    for number in NUMBERS.values():
        if not keep >> number & 1 and in_bounding_set(number):
            drop_from_bounding_set(number)
    capset(Sets(keep, keep, 0))
    set_no_new_privileges()
    set_dumpable(on=False)
    calls = callfilter.program()
    if calls:
        install(calls)
