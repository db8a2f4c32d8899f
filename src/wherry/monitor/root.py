"""The nursery's own root: a small tmpfs with read-only views of the interpreter, the libraries and this package.

Monitors and the processes that are about to become containers run from here. So they pin no mount of the host but
these, copy a short mount table for each container, and nothing that a container could reach through one of them
(/proc/PID/exe, map_files) can be opened for writing: CVE-2019-5736.
"""

import os

from msgspec import Struct

from wherry.linux import mount, namespaces

# What the dynamic loader reads; a link among them (/lib64 -> usr/lib64) is seen through.
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_KERNEL = ("/proc", "/sys", "/dev")


class View(Struct, frozen=True):
    """A path of the host that is seen in the nursery's root, at the same place."""

    path: str
    writable: bool = False
    recursive: bool = False


def views(packages: tuple[str, ...]) -> list[View]:
    """Everything a Python process of ours needs: the kernel's file systems, libraries, interpreter, `packages`."""
    found = [View(path, writable=True, recursive=path == "/sys") for path in _KERNEL]
    wanted = [*_LIBRARIES, os.path.realpath("/proc/self/exe"), os.path.dirname(os.__file__), *packages]
    wanted += sorted({os.path.dirname(path) for path in _mapped_files()})
    for path in wanted:
        if os.path.exists(path) and not any(_is_below(path, view.path) for view in found):
            found.append(View(path))
    return found


def enter(seen: list[View]) -> None:
    """Move this process into such a root, in a mount namespace of its own. Raises OSError."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
    trees = [(view, _open(view)) for view in seen]
    root = mount.detached("tmpfs", (("mode", "0700"), ("size", "64k")), mount.MOUNT_ATTR_NOSUID)
    mount.move_mount(root, "/proc")
    os.chdir("/proc/.")  # through the name again: the new mount is on top
    for view, tree in trees:
        _make_mountpoint(view.path)
        mount.move_mount(tree, view.path.lstrip("/"))
        os.close(tree)
    mount.pivot_root(".", ".")
    mount.umount2(".", mount.MNT_DETACH)
    os.chdir("/")
    mount.mount_setattr("", dir_fd=root, attributes=mount.MOUNT_ATTR_RDONLY)
    os.close(root)


def _open(view: View) -> int:
    tree = mount.open_tree(view.path, recursive=view.recursive)
    if not view.writable:
        mount.mount_setattr("", dir_fd=tree, attributes=mount.MOUNT_ATTR_RDONLY)
    return tree


def _make_mountpoint(path: str) -> None:
    below = path.lstrip("/")
    if os.path.isdir(path):
        os.makedirs(below, exist_ok=True)
        return
    os.makedirs(os.path.dirname(below), exist_ok=True)
    with open(below, "a"):
        pass


def _mapped_files() -> set[str]:
    with open("/proc/self/maps") as maps:
        paths = (line.split(None, 5)[5:] for line in maps)
        return {path[0].strip() for path in paths if path and path[0].startswith("/")}


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")
