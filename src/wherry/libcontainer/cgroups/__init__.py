"""Control groups, versions 1 and 2: made, limited, frozen, emptied and removed.

Nothing that was there before is changed, but for the children made in it and, on v2, the controllers enabled for
these; the one exception is a v1 cpuset on the way that has no cpus or mems: it is filled, as nobody could use it.
"""

import errno
import functools
import os

from wherry.libcontainer.cgroups import mounts, paths, v1, v2
from wherry.libcontainer.cgroups.cgroup import Cgroup
from wherry.libcontainer.cgroups.errors import CgroupError, LimitError
from wherry.libcontainer.cgroups.mounts import MountPlan, Shown
from wherry.libcontainer.cgroups.paths import is_populated
from wherry.libcontainer.cgroups.paths import remove as remove_directory
from wherry.libcontainer.cgroups.v1 import join_by_tasks
from wherry.linux.cgroup import Hierarchy
from wherry.linux.cgroup import hierarchies as _mounted

__all__ = (
    "Cgroup",
    "CgroupError",
    "LimitError",
    "MountPlan",
    "Shown",
    "controllers",
    "create",
    "directories",
    "is_populated",
    "join_by_tasks",
    "mount_plan",
    "open_existing",
    "remove_directory",
    "version",
)


def create(cgroups_path: str, container_id: str) -> Cgroup:
    """Make a container's cgroup in every tree; on failure nothing is left. The path may be nested.

    Raises CgroupError, EBUSY when it is there with processes in it; LimitError for a path that is none.
    """
    path = paths.clean(cgroups_path, container_id)
    if version() == 2:
        return v2.create(_trees()[0].directory, path)
    return v1.create(_trees(), path)


def open_existing(cgroups_path: str) -> Cgroup:
    """A cgroup made before. Raises FileNotFoundError when it is in no tree, CgroupError."""
    path = paths.clean(cgroups_path)
    if version() == 2:
        return v2.open_existing(_trees()[0].directory, path)
    directories = v1.directories(_trees(), path)
    if not directories:
        raise FileNotFoundError(errno.ENOENT, f"no cgroup {path}")
    return v1.CgroupV1(path, directories)


def directories(cgroups_path: str) -> list[str]:
    """Where a cgroup of that path is, in whichever trees it is; it need not be a container's. Raises CgroupError."""
    path = paths.clean(cgroups_path)
    return [place for tree in _trees() if os.path.isdir(place := f"{tree.directory}/{path}")]


def version() -> int:
    """1 when any controller is on a v1 tree (hybrid hosts too), else 2. Raises CgroupError when none is mounted."""
    return mounts.mount_plan(_trees()).version


def controllers() -> tuple[str, ...]:
    """The controllers that containers can be limited by, such as `memory`. Raises CgroupError."""
    if version() == 2:
        return v2.available(_trees()[0].directory)
    return tuple(name for tree in _trees() if tree.version == 1 for name in tree.controllers if "=" not in name)


def mount_plan() -> MountPlan:
    """What to mount at /sys/fs/cgroup in a container. Raises CgroupError."""
    return mounts.mount_plan(_trees())


@functools.cache
def _trees() -> tuple[Hierarchy, ...]:
    # Read once: a monitor lives in a mount namespace where they never change.
    trees = _mounted()
    if not trees:
        raise CgroupError(errno.ENOENT, "no cgroup tree is mounted: mount cgroup2 on /sys/fs/cgroup")
    return trees
