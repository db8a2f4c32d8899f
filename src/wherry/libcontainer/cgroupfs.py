"""/sys/fs/cgroup inside a container: cgroup2 itself, or a tmpfs with a directory for each v1 tree."""

import os

from wherry.libcontainer import cgroups, rootfs
from wherry.libcontainer.errors import at
from wherry.libcontainer.options import Options, parse_options
from wherry.linux import mount as kernel
from wherry.oci.runtime import Mount


def open_own_groups(cgroup: cgroups.Cgroup | None, plan: cgroups.MountPlan | None) -> dict[str, int]:
    """Of each v1 tree just the container's own group, as a detached mount: what it sees without a cgroup namespace.

    To be called where the trees are mounted. Raises BirthError.
    """
    if cgroup is None or plan is None or plan.version == 2:
        return {}
    found: dict[str, int] = {}
    try:
        for tree in plan.shown:
            fd = kernel.open_tree("", dir_fd=cgroup.directory_fd(tree.controller))
            found[tree.name] = fd
    except OSError as error:
        for fd in found.values():
            os.close(fd)
        raise at("error opening the container's cgroups", error) from None
    return found


def mount_cgroups(root_fd: int, mount: Mount, plan: cgroups.MountPlan, own: dict[str, int]) -> int | None:
    """Mount at the place of a `cgroup` or `cgroup2` mount. Raises BirthError.

    A read-only tmpfs over v1 trees comes back as a descriptor, to be sealed when all is in place.
    """
    options = parse_options(mount.options)
    try:
        if plan.version == 2:
            fd = kernel.detached("cgroup2", (("source", "cgroup"),), options.attributes)
            rootfs.place(root_fd, mount, fd)
            os.close(fd)
            return None
        return _mount_trees(root_fd, mount, options, plan, own)
    except OSError as error:
        raise at(f'error mounting "cgroup" to rootfs at "{mount.destination}"', error) from None


def _mount_trees(
    root_fd: int, mount: Mount, options: Options, plan: cgroups.MountPlan, own: dict[str, int]
) -> int | None:
    base = kernel.detached(
        "tmpfs", (("source", "tmpfs"), ("mode", "755")), options.attributes & ~kernel.MOUNT_ATTR_RDONLY
    )
    rootfs.place(root_fd, mount, base)
    # A file system of our own that nobody else has seen: there is nothing in it that could lead elsewhere.
    for tree in plan.shown:
        fd = _tree(tree, options, own)
        os.mkdir(tree.name, 0o755, dir_fd=base)
        kernel.move_mount(fd, tree.name, dir_fd=base)
        os.close(fd)
    for name, target in plan.links:
        os.symlink(target, name, dir_fd=base)
    if options.is_readonly:
        return base
    os.close(base)
    return None


def _tree(tree: cgroups.Shown, options: Options, own: dict[str, int]) -> int:
    if tree.name in own:
        fd = own[tree.name]
        kernel.mount_setattr("", dir_fd=fd, attributes=options.attributes, propagation=kernel.MS_PRIVATE)
        return fd
    words = (word.partition("=") for word in tree.options.split(","))
    data = tuple((key, value if equals else None) for key, equals, value in words)
    return kernel.detached("cgroup", (("source", "cgroup"), *data), options.attributes)
