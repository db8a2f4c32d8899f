"""Trees of files by descriptor: remove, copy and measure them, whatever symlinks a stranger left in them."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, change_owner, openat2
from wherry.linux.sync import begin_writing

_DEPTH_MAX = 64  # open directories while removing; what lies deeper is moved up first
_FICLONE = 0x40049409
_NO_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL, errno.ETXTBSY, errno.EPERM)
_COPY_SIZE = 1 << 23
OPAQUE_XATTR = "trusted.overlay.opaque"
_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")

# What opening a path by openat2(2) without symlinks says when somebody moved it away since it was listed.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

Children = list[tuple[str, os.stat_result]]


def open_directory(root_fd: int, path: str) -> int:
    """A directory below a root, never through a symlink; the path "" is the root itself. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    return openat2(root_fd, path or ".", flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def children(dir_fd: int) -> Children:
    """The entries of a directory with their lstat(2), sorted by the bytes of their names."""
    found: Children = []
    with os.scandir(dir_fd) as entries:
        for entry in entries:
            try:
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue  # gone since; the tree may be in use
    found.sort(key=lambda child: os.fsencode(child[0]))
    return found


def remove(dir_fd: int, name: str) -> None:
    """Remove an entry of a directory and all below it, however deep; absence is fine. Raises OSError."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # unlink(2) of a directory is EISDIR on Linux, EPERM in POSIX
        pending = [name]
        while pending:
            pending.extend(_remove_directory(dir_fd, pending.pop()))


def _remove_directory(top_fd: int, name: str) -> list[str]:
    """Remove a directory; what was too deep now stands beside it, under the names returned."""
    moved: list[str] = []
    # A directory without permissions for its owner is no obstacle to root, so none are set.
    _empty(top_fd, name, top_fd, moved, 0)
    os.rmdir(name, dir_fd=top_fd)
    return moved


def _empty(dir_fd: int, name: str, top_fd: int, moved: list[str], depth: int) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        with os.scandir(fd) as found:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        for child, is_directory in entries:
            if not is_directory:
                os.unlink(child, dir_fd=fd)
            elif depth < _DEPTH_MAX:
                _empty(fd, child, top_fd, moved, depth + 1)
                os.rmdir(child, dir_fd=fd)
            else:
                _move_up(fd, child, top_fd, moved)
    finally:
        os.close(fd)


def _move_up(dir_fd: int, name: str, top_fd: int, moved: list[str]) -> None:
    new_name = f".deep-{os.urandom(8).hex()}"
    os.rename(name, new_name, src_dir_fd=dir_fd, dst_dir_fd=top_fd)
    moved.append(new_name)


def measure(root_fd: int) -> tuple[int, int]:
    """Bytes of all files (hard links once, directories not at all), and inodes without the root's. Raises OSError."""
    total = inodes = 0
    linked: set[int] = set()
    for _, status in walk(root_fd):
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            if status.st_ino in linked:
                continue
            linked.add(status.st_ino)
        inodes += 1
        total += 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return total, inodes


def walk(root_fd: int) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below a root with its lstat(2), a directory before what is in it, names in order. Raises OSError."""
    pending: list[Iterator[tuple[str, os.stat_result]]] = [iter(_children_at(root_fd, ""))]
    while pending:
        for path, status in pending[-1]:
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append(iter(_children_at(root_fd, path)))
                break
        else:
            pending.pop()


def _children_at(root_fd: int, path: str) -> Children:
    try:
        fd = open_directory(root_fd, path)
    except OSError as error:
        if error.errno in GONE:
            return []
        raise
    try:
        return [(f"{path}/{name}" if path else name, status) for name, status in children(fd)]
    finally:
        os.close(fd)


def copy(source_fd: int, target_fd: int, *, as_layer: bool = False, to_be_synced: bool = False) -> None:
    """Copy all below one directory into another, with owners, modes, times, xattrs, devices, hard links and holes.

    The directories' own attributes are copied too. `as_layer` keeps that an overlay's directory hides the one below
    it. Data is shared where the file system can; `to_be_synced` has the kernel begin to write it. Raises OSError.
    """
    _Copy(source_fd, target_fd, as_layer=as_layer, to_be_synced=to_be_synced).run()


class _Copy:
    def __init__(self, source_fd: int, target_fd: int, *, as_layer: bool, to_be_synced: bool) -> None:
        self._to_be_synced = to_be_synced
        self._source = source_fd
        self._target = target_fd
        self._as_layer = as_layer
        self._linked: dict[tuple[int, int], str] = {}

    def run(self) -> None:
        # A directory comes twice: to be filled, and, all below it done, to get its attributes and times.
        pending = [("", False)]
        while pending:
            path, is_filled = pending.pop()
            source, target = open_directory(self._source, path), open_directory(self._target, path)
            try:
                if is_filled:
                    if self._as_layer and is_opaque(source):
                        os.setxattr(target, OPAQUE_XATTR, b"y")
                    copy_attributes(source, target)
                    continue
                pending.append((path, True))
                pending.extend((below, False) for below in self._fill(path, source, target))
            finally:
                os.close(source)
                os.close(target)

    def _fill(self, path: str, source: int, target: int) -> list[str]:
        below = []
        for name, status in children(source):
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(name, 0o700, dir_fd=target)
                below.append(f"{path}/{name}" if path else name)
            elif not self._link(path, name, status, target):
                self._copy_entry(source, target, name, status)
        return below

    def _link(self, path: str, name: str, status: os.stat_result, target: int) -> bool:
        """Make it a hard link to its first copy, when there is one."""
        if status.st_nlink == 1:
            return False
        key = (status.st_dev, status.st_ino)
        first = self._linked.setdefault(key, f"{path}/{name}" if path else name)
        if first == (f"{path}/{name}" if path else name):
            return False
        # Both ends lie in the tree being made, where no stranger works yet.
        os.link(first, name, src_dir_fd=self._target, dst_dir_fd=target, follow_symlinks=False)
        return True

    def _copy_entry(self, source: int, target: int, name: str, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            copy_file(source, target, name, to_be_synced=self._to_be_synced)
            return
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISSOCK(status.st_mode):
            return  # a socket is of no use without its listener
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        new = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target)
        try:
            change_owner(new, status.st_uid, status.st_gid)
            if not stat.S_ISLNK(status.st_mode):
                os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        finally:
            os.close(new)


def is_opaque(fd: int) -> bool:
    """Whether an overlay's directory hides the one below it (kernel Documentation/filesystems/overlayfs.rst)."""
    try:
        return os.getxattr(fd, OPAQUE_XATTR) == b"y"
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.EOPNOTSUPP}:
            return False
        raise


def copy_file(source_dir: int, target_dir: int, name: str, *, to_be_synced: bool = False) -> None:
    """Copy one regular file under the same name, with holes and all attributes. Raises OSError."""
    source = openat2(source_dir, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=RESOLVE_BENEATH)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=target_dir)
        try:
            copy_data(source, target, to_be_synced=to_be_synced)
            copy_attributes(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def copy_data(source: int, target: int, *, to_be_synced: bool = False) -> None:
    """The bytes of one file into an empty one, shared when the file system can, else piece by piece with its holes."""
    size = os.fstat(source).st_size
    if not size:
        return
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
    else:
        return
    os.ftruncate(target, size)
    for start, end in _data_pieces(source, size):
        for at in range(start, end, _COPY_SIZE):
            _copy_range(source, target, at, min(end, at + _COPY_SIZE))
            if to_be_synced and size > _COPY_SIZE:
                begin_writing(target, at, _COPY_SIZE)


def _data_pieces(fd: int, size: int) -> Iterator[tuple[int, int]]:
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # a hole to the end
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        count = end - start
        try:
            done = os.copy_file_range(source, target, count, start, start)
        except OSError as error:
            if error.errno not in _NO_CLONE and error.errno != errno.ENOSYS:
                raise
            done = os.pwrite(target, os.pread(source, min(count, 1 << 20), start), start)
        if not done:
            return  # cut short meanwhile
        start += done


def copy_attributes(source: int, target: int) -> None:
    """Owner, xattrs, mode and times of one open file or directory to another. Raises OSError."""
    status = os.fstat(source)
    # Owner first: chown(2) clears setuid bits and file capabilities.
    os.fchown(target, status.st_uid, status.st_gid)
    for name in os.listxattr(source):
        if name.startswith(_OVERLAY_XATTRS):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EPERM, errno.ENODATA}:
                raise
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
