"""What a container sees at /sys/fs/cgroup."""

from typing import NamedTuple

from wherry.linux.cgroup import Hierarchy


class Shown(NamedTuple):
    """One v1 tree inside: the directory's name, the mount's options, and a controller to find its directory by."""

    name: str
    options: str
    controller: str


class MountPlan(NamedTuple):
    """How to fill /sys/fs/cgroup.

    Version 2: mount cgroup2 there. Version 1: a tmpfs with a directory for each of `shown`, filled in a cgroup
    namespace by mounting `cgroup` with its options, else by binding `Cgroup.directory_fd(controller)`; then the
    symbolic `links` (name, target) such as cpu -> cpu,cpuacct.
    """

    version: int
    shown: tuple[Shown, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def mount_plan(trees: tuple[Hierarchy, ...]) -> MountPlan:
    """The plan for the trees that this host has; of a hybrid host's, only the v1 ones (as runc)."""
    v1 = [tree for tree in trees if tree.version == 1]
    if not any(_has_controllers(tree) for tree in v1):
        return MountPlan(version=2)
    shown, links = [], []
    for tree in v1:
        name = ",".join(controller.removeprefix("name=") for controller in tree.controllers)
        shown.append(Shown(name, ",".join(tree.controllers), tree.controllers[0]))
        if len(tree.controllers) > 1:
            links += [(controller, name) for controller in tree.controllers]
    return MountPlan(version=1, shown=tuple(shown), links=tuple(links))


def _has_controllers(tree: Hierarchy) -> bool:
    return any("=" not in controller for controller in tree.controllers)
