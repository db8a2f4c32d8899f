"""Mounts of a runtime-spec as detached mounts: made where the caller is, attached nowhere."""

import os

from wherry.libcontainer.idmap import open_user_namespace
from wherry.libcontainer.options import Options, parse_options
from wherry.linux import mount as kernel
from wherry.oci.runtime import Mount

# Bound to the network, ipc, pid or cgroup namespace (or user namespace) of whoever makes them, so the container
# makes them itself; tmpfs only for its owner's sake.
_INSIDE = frozenset({"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"})


def is_made_inside(mount: Mount) -> bool:
    """Whether the container's first process makes this mount itself: proc sysfs tmpfs devpts mqueue cgroup."""
    return mount.type in _INSIDE and not parse_options(mount.options).is_bind


def open_mount(mount: Mount) -> int:
    """A bind, overlay or other mount as a detached mount, its source looked up in the caller's mount namespace.

    Returns a close-on-exec descriptor. Raises OSError.
    """
    options = parse_options(mount.options)
    if options.is_bind or mount.type == "bind":
        fd = kernel.open_tree(mount.source, recursive=options.recursive)
    else:
        fd = _make(mount, options)
    try:
        change(fd, options)
        _map_ids(fd, mount, options)
    except BaseException:
        os.close(fd)
        raise
    return fd


def make(fstype: str, source: str, options: Options) -> int:
    """A new file system as a detached mount. Raises OSError with the kernel's own words."""
    data = (("source", source), *options.data) if source else options.data
    attributes = options.attributes
    return kernel.detached(fstype, data, attributes)


def change(fd: int, options: Options) -> None:
    """Set a detached mount's attributes and propagation. Raises OSError."""
    # Private first: until then it is a peer of its source, and what is mounted below would show up there.
    propagation = options.propagation or kernel.MS_PRIVATE
    kernel.mount_setattr(
        "",
        dir_fd=fd,
        attributes=options.attributes_recursive,
        clear=options.clear_recursive,
        propagation=propagation,
        recursive=True,
    )
    if options.attributes or options.clear:
        kernel.mount_setattr("", dir_fd=fd, attributes=options.attributes, clear=options.clear)


def _make(mount: Mount, options: Options) -> int:
    # Read-only is also told to the file system, or a journal on a read-only device would be replayed.
    readonly = (("ro", None),) if options.is_readonly else ()
    data = (("source", mount.source),) if mount.source else ()
    return kernel.detached(mount.type, (*data, *readonly, *options.data))


def _map_ids(fd: int, mount: Mount, options: Options) -> None:
    if not (mount.uid_mappings or mount.gid_mappings or options.is_idmapped):
        return
    if not (mount.uid_mappings and mount.gid_mappings):
        raise OSError(22, f"mount {mount.destination}: an idmapped mount needs uidMappings and gidMappings")
    namespace = open_user_namespace(mount.uid_mappings, mount.gid_mappings)
    try:
        kernel.mount_setattr(
            "",
            dir_fd=fd,
            attributes=kernel.MOUNT_ATTR_IDMAP,
            userns_fd=namespace,
            recursive=options.idmap_recursive,
        )
    finally:
        os.close(namespace)
