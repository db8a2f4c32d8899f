"""The mounts that a container's first process makes itself: proc sysfs tmpfs devpts mqueue cgroup."""

import os
import stat

from wherry.libcontainer import rootfs
from wherry.libcontainer.errors import at
from wherry.libcontainer.mounts import make
from wherry.libcontainer.options import Options, parse_options
from wherry.linux import files
from wherry.linux import mount as kernel
from wherry.oci.runtime import Mount

_COPY_BYTES = 1 << 30
_LABELLED = frozenset({"tmpfs", "devpts", "mqueue"})


def mount_inside(root_fd: int, mount: Mount, label: str) -> int | None:
    """Make one mount and attach it. Raises BirthError.

    A read-only tmpfs is left writable, because devices and mount points may still be made in it: its descriptor
    comes back, to be made read-only when all is in place.
    """
    options = parse_options(mount.options)
    is_late = mount.type == "tmpfs" and options.is_readonly
    try:
        fd = make(mount.type, mount.source or mount.type, _completed(root_fd, mount, options, label, is_late=is_late))
    except OSError as error:
        raise at(f'error mounting "{mount.source or mount.type}" to rootfs at "{mount.destination}"', error) from None
    if options.copies_up:
        _copy_up(root_fd, mount.destination, fd)
    rootfs.place(root_fd, mount, fd)
    if is_late:
        return fd
    os.close(fd)
    return None


def seal(mount_fd: int) -> None:
    """Make a mount read-only that was left writable, and let go of it. Raises BirthError."""
    try:
        kernel.mount_setattr("", dir_fd=mount_fd, attributes=kernel.MOUNT_ATTR_RDONLY)
    except OSError as error:
        raise at("error making a tmpfs read-only", error) from None
    os.close(mount_fd)


def _completed(root_fd: int, mount: Mount, options: Options, label: str, *, is_late: bool) -> Options:
    data = options.data
    if mount.type == "tmpfs" and not any(key == "mode" for key, _ in data):
        data = (*data, *_mode_below(root_fd, mount.destination))
    if label and mount.type in _LABELLED:
        data = (*data, ("context", label))
    attributes = options.attributes & ~kernel.MOUNT_ATTR_RDONLY if is_late else options.attributes
    return Options(attributes=attributes, data=data)


def _mode_below(root_fd: int, destination: str) -> tuple[tuple[str, str], ...]:
    """A tmpfs takes over the mode of the directory it covers, as runc has it."""
    try:
        fd = files.open_inside(root_fd, destination)
    except OSError:
        return ()
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    os.close(fd)
    return (("mode", f"{mode:o}"),)


def _copy_up(root_fd: int, destination: str, mount_fd: int) -> None:
    """Fill a fresh tmpfs with what it is going to cover (podman's tmpcopyup). Raises BirthError."""
    try:
        source = files.open_inside(root_fd, destination, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    target = files.open_inside(mount_fd, "/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _copy_tree(source, target)
    except OSError as error:
        raise at(f'tmpcopyup of "{destination}"', error) from None
    finally:
        os.close(source)
        os.close(target)


def _copy_tree(source: int, target: int) -> None:
    for name in os.listdir(source):
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISDIR(found.st_mode):
            os.mkdir(name, dir_fd=target)
            _copy_below(source, target, name)
        elif stat.S_ISREG(found.st_mode):
            _copy_file(source, target, name)
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)


def _copy_below(source: int, target: int, name: str) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    below, above = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
    try:
        _copy_tree(below, above)
    finally:
        os.close(below)
        os.close(above)


def _copy_file(source: int, target: int, name: str) -> None:
    below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    above = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    try:
        while os.sendfile(above, below, None, _COPY_BYTES):
            pass
    finally:
        os.close(below)
        os.close(above)
