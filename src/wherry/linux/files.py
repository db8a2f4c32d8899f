"""openat2(2), and making files by descriptor inside a root that a stranger filled."""

import ctypes
import errno
import os
import stat

from wherry.linux.libc import checked, declare, declare_syscall, encode

RESOLVE_NO_XDEV = 0x1
RESOLVE_NO_MAGICLINKS = 0x2
RESOLVE_NO_SYMLINKS = 0x4
RESOLVE_BENEATH = 0x8
RESOLVE_IN_ROOT = 0x10

DEVPTS_SUPER_MAGIC = 0x1CD1
PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
TMPFS_MAGIC = 0x01021994
CGROUP2_SUPER_MAGIC = 0x63677270

_AT_EMPTY_PATH = 0x1000
_TRIES = 128
_LINKS = 256  # deeper paths and longer chains of dangling symlinks are refused


class OpenHow(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Statfs(ctypes.Structure):
    # struct statfs has 120 bytes on 64-bit machines and begins with f_type; the rest is not looked at.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_byte * 248))


_openat2 = declare_syscall(437, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(OpenHow), ctypes.c_size_t)
_fchownat = declare("fchownat", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_int)
_fstatfs = declare("fstatfs", ctypes.c_int, ctypes.POINTER(_Statfs))


def openat2(dir_fd: int, path: str | bytes, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2), always close-on-exec. Raises OSError; ELOOP and EXDEV for what `resolve` forbids."""
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_TRIES):
        result = _openat2(dir_fd, encode(path), ctypes.byref(how), ctypes.sizeof(how))
        # EAGAIN: a rename or mount happened meanwhile and the kernel could not be sure (openat2(2)).
        if result >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return checked(result, "openat2", os.fsdecode(path))


def open_inside(
    root_fd: int, path: str | bytes, flags: int = os.O_PATH, *, mode: int = 0, symlinks: bool = True
) -> int:
    """Open a path as a process chrooted into `root_fd` would, whatever symlinks say; magic links are refused.

    `symlinks=False` refuses (ELOOP) any symlink on the way. Raises OSError.
    """
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if symlinks else RESOLVE_NO_SYMLINKS)
    return openat2(root_fd, path, flags, mode=mode, resolve=resolve)


def make_directory_inside(root_fd: int, path: str | bytes, *, mode: int = 0o755, symlinks: bool = True) -> int:
    """Open a directory inside a root, making what is missing on the way; an O_PATH descriptor.

    Each step goes by the descriptor of the one before, so nothing is ever made outside. A dangling symlink's target
    is made too. `mode` is cut by the umask. Raises OSError; NotADirectoryError when something else is in the way.
    """
    return _make_directories(root_fd, os.fsencode(path), mode, symlinks, _LINKS)


def make_file_inside(root_fd: int, path: str | bytes, *, mode: int = 0o644, symlinks: bool = True) -> int:
    """Open whatever stands at a path inside a root, or make an empty file there; O_PATH. Raises OSError."""
    name = os.fsencode(path).rstrip(b"/")
    for _ in range(_LINKS):
        try:
            return open_inside(root_fd, name, symlinks=symlinks)
        except FileNotFoundError:
            parent, _, base = name.rpartition(b"/")
        directory = make_directory_inside(root_fd, parent, symlinks=symlinks)
        try:
            return _make_entry(directory, base, stat.S_IFREG | mode, 0)
        except FileExistsError:
            # Made by another meanwhile, or a dangling symlink: then its target is to be made.
            name = _link_target(directory, parent, base) or name
        finally:
            os.close(directory)
    raise OSError(errno.ELOOP, f"too many dangling symlinks at {os.fsdecode(path)}")


def filesystem_type(fd: int) -> int:
    """fstatfs(2): the magic number of the file system behind a descriptor. Raises OSError."""
    record = _Statfs()
    checked(_fstatfs(fd, ctypes.byref(record)), "fstatfs", fd)
    return int(record.f_type) & 0xFFFFFFFF


def change_owner(fd: int, uid: int, gid: int) -> None:
    """fchownat(2) on what a descriptor, also an O_PATH one, stands for. Raises OSError."""
    checked(_fchownat(fd, b"", uid, gid, _AT_EMPTY_PATH), "fchownat", f"fd {fd}")


def _make_directories(root_fd: int, path: bytes, mode: int, symlinks: bool, links: int) -> int:
    if links == 0:
        raise OSError(errno.ELOOP, f"too many dangling symlinks at {os.fsdecode(path)}")
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_inside(root_fd, path or b"/", flags, symlinks=symlinks)
    except FileNotFoundError:
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
    directory = _make_directories(root_fd, parent, mode, symlinks, links - 1)
    try:
        os.mkdir(name, mode, dir_fd=directory)
    except FileExistsError:
        target = _link_target(directory, parent, name) if symlinks else b""
        return _make_directories(root_fd, target or path, mode, symlinks, links - 1)
    else:
        # Just this entry of just this directory: whoever swaps it for a symlink now gets an error.
        return openat2(directory, name, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
    finally:
        os.close(directory)


def _link_target(directory: int, parent: bytes, name: bytes) -> bytes:
    """Where a symlink points, as a path inside the root; empty when it is no symlink."""
    try:
        target = os.readlink(name, dir_fd=directory)
    except OSError:
        return b""
    return target if target.startswith(b"/") else parent + b"/" + target


def _make_entry(directory: int, name: bytes, mode: int, device: int) -> int:
    os.mknod(name, mode, device, dir_fd=directory)
    return openat2(directory, name, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH)
