"""mount(2), umount(2), pivot_root(2) and the descriptor-based mount API, one function per system call."""

import ctypes
import os

from wherry.linux.libc import PathText, checked, declare, declare_syscall, encode, failure, machine_number

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_ATIME = 0x70  # a field, not a bit: relatime 0, noatime 0x10, strictatime 0x20
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

_LOG_BYTES = 4096


class MountAttr(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_text = ctypes.c_char_p
_mount = declare("mount", _text, _text, _text, ctypes.c_ulong, _text)
_umount2 = declare("umount2", _text, ctypes.c_int)
_pivot_root = declare_syscall(machine_number(x86_64=155, aarch64=41), _text, _text)
_open_tree = declare_syscall(428, ctypes.c_int, _text, ctypes.c_uint)
_move_mount = declare_syscall(429, ctypes.c_int, _text, ctypes.c_int, _text, ctypes.c_uint)
_fsopen = declare_syscall(430, _text, ctypes.c_uint)
_fsconfig = declare_syscall(431, ctypes.c_int, ctypes.c_uint, _text, ctypes.c_void_p, ctypes.c_int)
_fsmount = declare_syscall(432, ctypes.c_int, ctypes.c_uint, ctypes.c_uint)
_mount_setattr = declare_syscall(442, ctypes.c_int, _text, ctypes.c_uint, ctypes.POINTER(MountAttr), ctypes.c_size_t)


def mount(source: PathText, target: PathText, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2). Raises OSError."""
    result = _mount(encode(source), encode(target), encode(fstype), flags, encode(data))
    checked(result, "mount", f"{_shown(fstype or source)} on {_shown(target)}")


def umount2(target: PathText, flags: int = 0) -> None:
    """umount2(2). Raises OSError."""
    checked(_umount2(encode(target), flags), "umount2", _shown(target))


def pivot_root(new_root: PathText, put_old: PathText) -> None:
    """pivot_root(2); `.` and `.` stack the old root on the new one, to be unmounted next. Raises OSError."""
    checked(_pivot_root(encode(new_root), encode(put_old)), "pivot_root", _shown(new_root))


def open_tree(path: PathText, *, dir_fd: int = AT_FDCWD, clone: bool = True, recursive: bool = False) -> int:
    """open_tree(2): with `clone` a detached copy of a mount, else a plain handle. The path "" is `dir_fd` itself.

    Returns a close-on-exec descriptor. Raises OSError.
    """
    flags = OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
    flags |= OPEN_TREE_CLONE if clone else 0
    flags |= AT_RECURSIVE if recursive else 0
    return checked(_open_tree(dir_fd, encode(path), flags), "open_tree", _shown(path) or f"fd {dir_fd}")


def move_mount(mount_fd: int, target: PathText, *, dir_fd: int = AT_FDCWD) -> None:
    """move_mount(2): attach a detached mount at a path; the target "" is `dir_fd` itself. Raises OSError."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | (0 if target else MOVE_MOUNT_T_EMPTY_PATH)
    result = _move_mount(mount_fd, b"", dir_fd, encode(target), flags)
    checked(result, "move_mount to", _shown(target) or f"fd {dir_fd}")


def fsopen(fstype: str) -> int:
    """fsopen(2): a context to configure a file system in; a close-on-exec descriptor. Raises OSError."""
    return checked(_fsopen(encode(fstype), FSOPEN_CLOEXEC), "fsopen", fstype)


def fsconfig_string(context: int, key: str, value: str | bytes) -> None:
    """fsconfig(2) FSCONFIG_SET_STRING; at most 255 bytes of value. Raises OSError with the kernel's own words."""
    _fsconfig_checked(context, FSCONFIG_SET_STRING, key, os.fsencode(value), 0)


def fsconfig_flag(context: int, key: str) -> None:
    """fsconfig(2) FSCONFIG_SET_FLAG. Raises OSError with the kernel's own words."""
    _fsconfig_checked(context, FSCONFIG_SET_FLAG, key, None, 0)


def fsconfig_fd(context: int, key: str, fd: int) -> None:
    """fsconfig(2) FSCONFIG_SET_FD. Raises OSError with the kernel's own words."""
    _fsconfig_checked(context, FSCONFIG_SET_FD, key, None, fd)


def fsconfig_create(context: int) -> None:
    """fsconfig(2) FSCONFIG_CMD_CREATE. Raises OSError with the kernel's own words."""
    _fsconfig_checked(context, FSCONFIG_CMD_CREATE, None, None, 0)


def fsmount(context: int, attributes: int = 0) -> int:
    """fsmount(2): the configured file system as a detached mount; a close-on-exec descriptor. Raises OSError."""
    return _checked_context(_fsmount(context, FSMOUNT_CLOEXEC, attributes), context, "fsmount")


def mount_setattr(
    path: PathText,
    *,
    dir_fd: int = AT_FDCWD,
    attributes: int = 0,
    clear: int = 0,
    propagation: int = 0,
    recursive: bool = False,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2): set and clear MOUNT_ATTR_*, change propagation; the path "" is `dir_fd` itself.

    `userns_fd` goes with MOUNT_ATTR_IDMAP. Raises OSError.
    """
    record = MountAttr(attributes, clear, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    result = _mount_setattr(dir_fd, encode(path), flags, ctypes.byref(record), ctypes.sizeof(record))
    checked(result, "mount_setattr", _shown(path) or f"fd {dir_fd}")


def detached(fstype: str, options: tuple[tuple[str, str | None], ...] = (), attributes: int = 0) -> int:
    """fsopen, fsconfig and fsmount in one: a new file system as a detached mount.

    An option with the value None is a flag. Raises OSError with the kernel's own words.
    """
    context = fsopen(fstype)
    try:
        for key, value in options:
            if value is None:
                fsconfig_flag(context, key)
            else:
                fsconfig_string(context, key, value)
        fsconfig_create(context)
        return fsmount(context, attributes)
    finally:
        os.close(context)


def _fsconfig_checked(context: int, command: int, key: str | None, value: bytes | None, auxiliary: int) -> None:
    result = _fsconfig(context, command, encode(key), value, auxiliary)
    _checked_context(result, context, f"fsconfig {key}" if key else "fsconfig create")


def _checked_context(result: int, context: int, call: str) -> int:
    if result < 0:
        raise failure(ctypes.get_errno(), call, reason=_context_log(context))
    return result


def _shown(path: PathText) -> str:
    return os.fsdecode(path) if path is not None else "none"


def _context_log(context: int) -> str:
    """What the kernel wrote into the context: lines such as `e tmpfs: Unknown parameter 'x'`."""
    lines = []
    while True:
        try:
            lines.append(os.read(context, _LOG_BYTES).decode(errors="replace").strip()[2:])
        except OSError:  # ENODATA: no more
            return "; ".join(lines)
