"""A container's root file system, put together in its own mount namespace: every target is opened inside the root."""

import errno
import os
import stat
from collections.abc import Iterable

from wherry.libcontainer.errors import BirthError, at
from wherry.linux import files
from wherry.linux import mount as kernel
from wherry.oci.runtime import Mount, Spec

# Some of procfs may be covered by a file that says less about the host (lxcfs does so); runc allows the same.
_COVERABLE = frozenset(
    f"/proc/{name}"
    for name in (
        "cpuinfo",
        "diskstats",
        "loadavg",
        "meminfo",
        "net/dev",
        "slabinfo",
        "stat",
        "swaps",
        "sys/crypto/fips_enabled",
        "sys/kernel/ns_last_pid",
        "uptime",
    )
)

_PROPAGATION = {
    "shared": (kernel.MS_SHARED, False),
    "rshared": (kernel.MS_SHARED, True),
    "slave": (kernel.MS_SLAVE, False),
    "rslave": (kernel.MS_SLAVE, True),
    "private": (kernel.MS_PRIVATE, False),
    "rprivate": (kernel.MS_PRIVATE, True),
    "unbindable": (kernel.MS_UNBINDABLE, False),
    "runbindable": (kernel.MS_UNBINDABLE, True),
}

_MASK_DATA = (("source", "tmpfs"), ("size", "4k"), ("nr_inodes", "1"), ("mode", "755"))
_MASK_ATTRIBUTES = (
    kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOEXEC
)
_NULL = os.makedev(1, 3)


def attach(rootfs_fd: int, where: str) -> None:
    """Bring the detached root into this mount namespace, cut off from the host's propagation. Raises BirthError."""
    try:
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount_setattr("", dir_fd=rootfs_fd, propagation=kernel.MS_PRIVATE, recursive=True)
        kernel.move_mount(rootfs_fd, where)
    except OSError as error:
        raise at("error preparing rootfs", error) from None


def place(root_fd: int, mount: Mount, mount_fd: int) -> None:
    """Attach a detached mount inside the root, on a directory or file made for it when missing. Raises BirthError."""
    try:
        target = _open_target(root_fd, mount, mount_fd)
    except OSError as error:
        raise at(_mounting(mount), error, mount.destination) from None
    try:
        _check(mount, target, mount_fd)
        kernel.move_mount(mount_fd, "", dir_fd=target)
    except OSError as error:
        raise at(_mounting(mount), error, mount.destination) from None
    finally:
        os.close(target)


def pivot(root_fd: int) -> None:
    """Make the root file system the root, and let go of everything of the host. Raises BirthError."""
    try:
        os.fchdir(root_fd)
        # The old root comes to lie on top of the new one and is taken off there: no directory is needed for it.
        kernel.pivot_root(".", ".")
        kernel.umount2(".", kernel.MNT_DETACH)
        os.chdir("/")
    except OSError as error:
        raise at("error jailing process inside rootfs", error) from None


def finish(root_fd: int, spec: Spec) -> None:
    """Set the root's propagation and, last of all, make it read-only. Raises BirthError."""
    wanted = spec.linux.rootfs_propagation if spec.linux else ""
    try:
        if wanted:
            propagation, recursive = _PROPAGATION[wanted]
            kernel.mount_setattr("", dir_fd=root_fd, propagation=propagation, recursive=recursive)
        if spec.root is not None and spec.root.readonly:
            kernel.mount_setattr("", dir_fd=root_fd, attributes=kernel.MOUNT_ATTR_RDONLY)
    except OSError as error:
        raise at("error setting rootfs as readonly", error) from None


def make_readonly(root_fd: int, paths: Iterable[str]) -> None:
    """Cover each path with a read-only copy of itself; missing ones are fine. Raises BirthError."""
    for path in paths:
        try:
            target = _open_existing(root_fd, path)
            if target is None:
                continue
            copy = kernel.open_tree("", dir_fd=target, recursive=True)
            kernel.mount_setattr("", dir_fd=copy, attributes=kernel.MOUNT_ATTR_RDONLY, recursive=True)
            kernel.move_mount(copy, "", dir_fd=target)
        except OSError as error:
            raise at(f'can\'t make "{path}" read-only', error) from None
        os.close(copy)
        os.close(target)


def mask(root_fd: int, paths: Iterable[str]) -> None:
    """Cover files with the container's /dev/null, directories with nothing; missing are fine. Raises BirthError."""
    covers = _Covers(root_fd)
    for path in paths:
        try:
            target = _open_existing(root_fd, path)
            if target is None:
                continue
            cover = covers.directory() if stat.S_ISDIR(os.fstat(target).st_mode) else covers.file()
            kernel.move_mount(cover, "", dir_fd=target)
        except OSError as error:
            raise at(f'can\'t mask path "{path}"', error) from None
        os.close(cover)
        os.close(target)
    covers.close()


class _Covers:
    """Copies of what masked paths are covered with, each made when first needed."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._null = self._empty = -1

    def file(self) -> int:
        if self._null < 0:
            self._null = _open_null(self._root_fd)
        return kernel.open_tree("", dir_fd=self._null)

    def directory(self) -> int:
        if self._empty < 0:
            self._empty = kernel.detached("tmpfs", _MASK_DATA, _MASK_ATTRIBUTES)
            return os.dup(self._empty)
        # Once the first copy is attached: older kernels clone no mount that is attached nowhere.
        return kernel.open_tree("", dir_fd=self._empty)

    def close(self) -> None:
        for fd in (self._null, self._empty):
            if fd >= 0:
                os.close(fd)


def _open_null(root_fd: int) -> int:
    """The container's /dev/null, proved by its descriptor to be the null device and not what somebody put there."""
    fd = files.open_inside(root_fd, "/dev/null", os.O_PATH | os.O_NOFOLLOW)
    found = os.fstat(fd)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _NULL:
        os.close(fd)
        raise BirthError("mask", 1, "/dev/null", "container's /dev/null is invalid: it is not the null device")
    return fd


def _open_existing(root_fd: int, path: str) -> int | None:
    try:
        return files.open_inside(root_fd, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _open_target(root_fd: int, mount: Mount, mount_fd: int) -> int:
    path = _cleaned(mount.destination)
    if path == "/":
        raise OSError(errno.EINVAL, "the root itself cannot be mounted over")
    if path.startswith("/proc/") and path not in _COVERABLE:
        raise OSError(errno.EPERM, f'"{path}" cannot be mounted because it is inside /proc')
    is_directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
    make = files.make_directory_inside if is_directory else files.make_file_inside
    # The names /proc and /sys must be what they say, or whoever writes there later would write elsewhere.
    is_kernel_tree = mount.type in ("proc", "sysfs")
    try:
        return make(root_fd, path, symlinks=not is_kernel_tree)
    except OSError as error:
        if is_kernel_tree and error.errno in (errno.ELOOP, errno.ENOTDIR):
            words = f'filesystem "{mount.type}" must be mounted on ordinary directory'
            raise OSError(error.errno, words) from None
        if error.errno == errno.ENOTDIR:
            raise _wrong_kind(mount) from None
        raise


def _check(mount: Mount, target: int, mount_fd: int) -> None:
    """Refuse to cover parts of procfs, by whatever way they were reached, and a directory by a file. Raises OSError."""
    path = _cleaned(mount.destination)
    if stat.S_ISDIR(os.fstat(target).st_mode) != stat.S_ISDIR(os.fstat(mount_fd).st_mode):
        raise _wrong_kind(mount)
    if path == "/proc":
        if mount.type != "proc" and files.filesystem_type(mount_fd) != files.PROC_SUPER_MAGIC:
            raise OSError(errno.EPERM, f'"{path}" cannot be mounted because it is not of type proc')
    elif path not in _COVERABLE and files.filesystem_type(target) == files.PROC_SUPER_MAGIC:
        raise OSError(errno.EPERM, f'"{path}" cannot be mounted because it is inside /proc')


def _wrong_kind(mount: Mount) -> OSError:
    hint = (
        "Are you trying to mount a directory onto a file (or vice-versa)? "
        "Check if the specified host path exists and is the expected type"
    )
    where = f"{mount.source or mount.type}:{mount.destination}"
    return OSError(errno.ENOTDIR, f"mount {where}: not a directory: {hint}")


def _cleaned(destination: str) -> str:
    # Two slashes at the beginning would be kept: POSIX gives them a meaning of their own.
    return os.path.normpath("/" + destination.lstrip("/"))


def _mounting(mount: Mount) -> str:
    return f'error mounting "{mount.source or mount.type}" to rootfs at "{mount.destination}"'
