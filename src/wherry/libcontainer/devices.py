"""A container's /dev: the devices that every container has, those asked for, the usual links, the console."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Self

from wherry.libcontainer.errors import BirthError, at
from wherry.linux import files, terminal
from wherry.linux import mount as kernel
from wherry.oci.runtime import Device, Mount, Spec

# runtime-spec, config-linux.md, "Default Devices".
DEFAULTS: tuple[Device, ...] = tuple(
    Device(type="c", path=f"/dev/{name}", major=major, minor=minor, file_mode=0o666, uid=0, gid=0)
    for name, major, minor in (
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)

_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_UNIX98_PTY_SLAVE_MAJORS = range(136, 144)


def wanted(spec: Spec) -> tuple[Device, ...]:
    """The default devices and the spec's own, which may say otherwise about a default one."""
    own = {device.path: device for device in (spec.linux.devices if spec.linux else ())}
    defaults = tuple(device for device in DEFAULTS if device.path not in own)
    return defaults + tuple(own.values())


def needs_setup(mounts: Iterable[Mount]) -> bool:
    """Whether /dev is ours to fill: not when somebody else's directory is mounted there, as runc has it."""
    return not any(
        os.path.normpath("/" + mount.destination.lstrip("/")) == "/dev"
        and (mount.type == "bind" or {"bind", "rbind"} & {*mount.options})
        for mount in mounts
    )


def open_host_devices(devices: Iterable[Device]) -> dict[str, int]:
    """Copies of the caller's own nodes as detached mounts, for a user namespace, where none can be made.

    Raises BirthError when a node is missing or is another device.
    """
    found: dict[str, int] = {}
    try:
        for device in devices:
            if device.type != "p":
                found[device.path] = _open_host_device(device)
    except BaseException:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def make_devices(root_fd: int, devices: Iterable[Device], host: Mapping[str, int]) -> None:
    """Make each node, or bind the host's. One that is there already must be that device. Raises BirthError."""
    with _Directory(root_fd) as directory:
        for device in devices:
            try:
                if device.path in host:
                    _bind(root_fd, device, host[device.path])
                else:
                    _make(directory, device)
            except OSError as error:
                raise at(f'error creating device nodes: mknod "{device.path}"', error, device.path) from None


def make_links(root_fd: int) -> None:
    """/dev/fd and its kind, /dev/core where there is a kcore, and /dev/ptmx. Raises BirthError."""
    core = (("core", "/proc/kcore"),) if os.path.exists("/proc/kcore") else ()
    try:
        directory = files.make_directory_inside(root_fd, "/dev")
        try:
            for name, target in (*_LINKS, *core):
                with contextlib.suppress(FileExistsError):
                    os.symlink(target, name, dir_fd=directory)
            _link_ptmx(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise at("error creating device links", error) from None


def open_terminal(root_fd: int) -> tuple[int, int]:
    """A new pty of the container's own devpts: (master, other end). Raises BirthError."""
    try:
        master = files.open_inside(root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, symlinks=False)
    except OSError as error:
        raise at("error opening the container's /dev/pts/ptmx", error) from None
    if files.filesystem_type(master) != files.DEVPTS_SUPER_MAGIC:
        raise BirthError("terminal", errno.EINVAL, "/dev/pts/ptmx", "container's /dev/pts is not a devpts")
    try:
        terminal.unlock(master)
        return master, terminal.open_peer(master)
    except OSError as error:
        raise at("error opening a terminal", error) from None


def place_console(root_fd: int, peer: int) -> None:
    """Bind a terminal's end on /dev/console, by descriptors only. Raises BirthError."""
    found = os.fstat(peer)
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) not in _UNIX98_PTY_SLAVE_MAJORS:
        raise BirthError("console", errno.EINVAL, "/dev/console", "container's terminal is no unix98 pty")
    try:
        target = _open_console(root_fd)
        copy = kernel.open_tree("", dir_fd=peer)
        kernel.move_mount(copy, "", dir_fd=target)
    except OSError as error:
        raise at("error binding the terminal to /dev/console", error) from None
    os.close(copy)
    os.close(target)


def _open_console(root_fd: int) -> int:
    directory = files.make_directory_inside(root_fd, "/dev")
    try:
        with contextlib.suppress(FileExistsError):
            os.mknod("console", stat.S_IFREG | 0o600, dir_fd=directory)
        fd = files.openat2(directory, "console", os.O_PATH | os.O_NOFOLLOW, resolve=files.RESOLVE_BENEATH)
    finally:
        os.close(directory)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, "/dev/console is a symlink")
    return fd


class _Directory:
    """The directory that the last device was made in, kept open for the next one."""

    def __init__(self, root_fd: int) -> None:
        self.root_fd = root_fd
        self._path = b""
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def open(self, path: bytes) -> int:
        """Open it inside the root, made where it is missing. Raises OSError."""
        if self._fd < 0 or path != self._path:
            fd = files.make_directory_inside(self.root_fd, path)
            self.__exit__()
            self._fd, self._path = fd, path
        return self._fd


def _make(directory: _Directory, device: Device) -> None:
    kind = _KINDS[device.type]
    mode = kind | (0o666 if device.file_mode is None else device.file_mode)
    number = 0 if kind == stat.S_IFIFO else os.makedev(device.major, device.minor)
    parent, _, name = os.fsencode(device.path).rstrip(b"/").rpartition(b"/")
    try:
        os.mknod(name, mode, number, dir_fd=directory.open(parent))
    except FileExistsError:
        _check(files.open_inside(directory.root_fd, device.path, os.O_PATH | os.O_NOFOLLOW), kind, number)
        return
    if device.uid or device.gid:
        os.chown(name, device.uid or 0, device.gid or 0, dir_fd=directory.open(parent), follow_symlinks=False)


def _check(fd: int, kind: int, number: int) -> None:
    found = os.fstat(fd)
    os.close(fd)
    if stat.S_IFMT(found.st_mode) != kind or (number and found.st_rdev != number):
        raise FileExistsError(errno.EEXIST, "something else is there already")


def _bind(root_fd: int, device: Device, host_fd: int) -> None:
    target = files.make_file_inside(root_fd, device.path)
    try:
        kernel.move_mount(host_fd, "", dir_fd=target)
    finally:
        os.close(target)


def _open_host_device(device: Device) -> int:
    kind, number = _KINDS[device.type], os.makedev(device.major, device.minor)
    try:
        fd = kernel.open_tree(device.path)
        kernel.mount_setattr("", dir_fd=fd, propagation=kernel.MS_PRIVATE)
        _check(os.dup(fd), kind, number)
    except OSError as error:
        raise at(f'error opening the host\'s "{device.path}"', error, device.path) from None
    return fd


def _link_ptmx(directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink("ptmx", dir_fd=directory)
    os.symlink("pts/ptmx", "ptmx", dir_fd=directory)
