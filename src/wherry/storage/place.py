"""Finds the place of a tar member in a tree: parents resolved inside the root, made where they are missing.

The process is already confined: `/` is the layer, and nothing else can be reached by a path. Symlinks are followed
step by step all the same, because a parent may be known only to the layers below (`lower`), which an overlay's own
directory does not show.
"""

import errno
import os
import stat

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_HOPS_MAX = 40  # as the kernel's own limit, path_resolution(7)
_IMPLIED_MODE = 0o755


def split(name: bytes) -> list[bytes]:
    """A member's name as the steps from the root; `..` never leads above it, as in a chroot."""
    steps: list[bytes] = []
    for step in name.split(b"/"):
        if step == b"..":
            del steps[-1:]
        elif step not in {b"", b"."}:
            steps.append(step)
    return steps


def is_whiteout(status: os.stat_result) -> bool:
    """Whether overlayfs takes it for "not here" (kernel Documentation/filesystems/overlayfs.rst)."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


class Places:
    """The directories of the layer, and what is seen of the layers below. `lower` is -1 when there are none."""

    def __init__(self, lower: int) -> None:
        self.opaque: set[bytes] = set()
        self.times: dict[bytes, int] = {}
        self.inodes_implied = 0
        self._lower = lower
        self._resolved: dict[bytes, bytes] = {b"": b""}

    def directory(self, steps: list[bytes]) -> bytes:
        """The real path of a directory, without symlinks; missing ones are made. Raises OSError."""
        key = b"/".join(steps)
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self._walk(steps)
        return found

    def forget(self) -> None:
        """Something that may have been a parent is gone."""
        self._resolved = {b"": b""}

    def lower_status(self, path: bytes) -> os.stat_result | None:
        """What the layers below show at a real path, unless this layer hides it."""
        if self._lower < 0 or self._is_hidden(path):
            return None
        try:
            fd = openat2(self._lower, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV}:
                return None
            raise
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def lower_root(self) -> list[bytes]:
        """The names in the root directory of the layers below."""
        if self._lower < 0:
            return []
        fd = openat2(self._lower, b".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return [os.fsencode(name) for name in os.listdir(fd)]
        finally:
            os.close(fd)

    def lower_file(self, path: bytes) -> int:
        """A regular file of the layers below, open for reading. Raises OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return openat2(self._lower, path, flags, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

    def _is_hidden(self, path: bytes) -> bool:
        if not self.opaque:
            return False
        above = path.rpartition(b"/")[0]
        while above and above not in self.opaque:
            above = above.rpartition(b"/")[0]
        return above in self.opaque

    def _walk(self, steps: list[bytes]) -> bytes:
        here = b""
        pending = steps[::-1]
        hops = 0
        while pending:
            step = pending.pop()
            if step == b"..":
                here = here.rpartition(b"/")[0]
                continue
            path = here + b"/" + step if here else step
            link = self._enter(path)
            if link is None:
                here = path
                continue
            hops += 1
            if hops > _HOPS_MAX:
                raise OSError(errno.ELOOP, f"open /{os.fsdecode(path)}: {os.strerror(errno.ELOOP)}")
            here = b"" if link.startswith(b"/") else here
            pending.extend(part for part in reversed(link.split(b"/")) if part not in {b"", b"."})
        return here

    def _enter(self, path: bytes) -> bytes | None:
        """Have a directory at a path whose parents are real; or say where the symlink there leads."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return self._enter_lower(path)
        if stat.S_ISDIR(status.st_mode):
            self.times.setdefault(path, status.st_mtime_ns)
            return None
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(path)
        if self._lower >= 0 and is_whiteout(status):
            os.unlink(path)
            self._imply(path)
            self.cover(path)
            return None
        raise NotADirectoryError(errno.ENOTDIR, f"open /{os.fsdecode(path)}: not a directory")

    def _enter_lower(self, path: bytes) -> bytes | None:
        status = self.lower_status(path)
        if status is None:
            self._imply(path)
            return None
        if stat.S_ISLNK(status.st_mode):
            return self._lower_link(path)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"open /{os.fsdecode(path)}: not a directory")
        # In the stack this directory covers the one below, so it must look the same.
        self._imply(path)
        os.chown(path, status.st_uid, status.st_gid)
        os.chmod(path, stat.S_IMODE(status.st_mode))
        self.times[path] = status.st_mtime_ns
        return None

    def _lower_link(self, path: bytes) -> bytes:
        fd = openat2(self._lower, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        try:
            return os.readlink(b"", dir_fd=fd)
        finally:
            os.close(fd)

    def _imply(self, path: bytes) -> None:
        os.mkdir(path, _IMPLIED_MODE)
        self.inodes_implied += 1

    def cover(self, path: bytes) -> None:
        """A directory was made where something hid the layers below: it must go on hiding a directory there."""
        below = self.lower_status(path)
        if below is not None and stat.S_ISDIR(below.st_mode):
            self.opaque.add(path)
