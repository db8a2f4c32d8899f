"""Paths in a container's file system as `docker cp` takes them, once the process is locked into it.

No path can lead out of it; but a container may have the host's procfs mounted somewhere, so nothing is opened
through a magic link (`open_inside`), and what a readlink(2) says is only ever text.
"""

import errno
import os
import stat
from typing import NamedTuple

from wherry.linux.files import open_inside

LINKS_MAX = 255  # as Go's filepath.EvalSymlinks
# os.FileMode of Go.
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class Found(NamedTuple):
    """What stands at a path: the API's PathStat. `mode` is Go's, `target` where a symlink finally leads."""

    name: bytes
    size: int
    mode: int
    mtime_ns: int
    target: bytes


def absolute(path: bytes) -> bytes:
    """From the root and without `..`; a last `/` or `/.` stays, as it says that a directory is meant."""
    cleaned = b"/" + b"/".join(_steps(path))
    if base(path) == b"." and base(cleaned) != b".":
        return cleaned + (b"." if cleaned.endswith(b"/") else b"/.")
    return cleaned + b"/" if path.endswith(b"/") and cleaned != b"/" else cleaned


def base(path: bytes) -> bytes:
    """The last step of a path, as Go's filepath.Base has it."""
    stripped = path.rstrip(b"/")
    return stripped.rpartition(b"/")[2] or (b"/" if path else b".")


def look(root: int, path: bytes) -> Found:
    """What stands at an absolute path, a last symlink not followed. Raises OSError that names the path."""
    try:
        handle = open_inside(root, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError as error:
        raise _about(error, path) from None
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    target = resolve(path, is_strict=False) if stat.S_ISLNK(status.st_mode) else b""
    return Found(base(path), status.st_size, go_mode(status.st_mode), status.st_mtime_ns, target)


def resolve(path: bytes, *, is_strict: bool = True) -> bytes:
    """Where a path finally leads, without symlinks. Raises OSError; what is missing is taken as it is unless strict."""
    here = b""
    pending = _split(path)[::-1]
    links = 0
    while pending:
        step = pending.pop()
        if step == b"..":
            here = here.rpartition(b"/")[0]
            continue
        link = _link_at(here + b"/" + step, is_strict=is_strict)
        if link is None:
            here += b"/" + step
            continue
        links += 1
        if links > LINKS_MAX:
            raise OSError(errno.ELOOP, "too many links", path)
        here = b"" if link.startswith(b"/") else here
        pending += _split(link)[::-1]
    return here or b"/"


def go_mode(mode: int) -> int:
    """A mode as Go's os.FileMode has it."""
    bits = sum(bit for flag, bit in _BITS.items() if mode & flag)
    return mode & 0o777 | bits | _KINDS.get(stat.S_IFMT(mode), 0)


def _link_at(path: bytes, *, is_strict: bool) -> bytes | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno == errno.EINVAL or (not is_strict and error.errno in {errno.ENOENT, errno.ENOTDIR}):
            return None
        raise _about(error, path) from None


def _about(error: OSError, path: bytes) -> OSError:
    return OSError(error.errno, f"lstat {os.fsdecode(path)}: {os.strerror(error.errno or 0).lower()}")


def _split(path: bytes) -> list[bytes]:
    return [step for step in path.split(b"/") if step not in {b"", b"."}]


def _steps(path: bytes) -> list[bytes]:
    steps: list[bytes] = []
    for step in _split(path):
        if step == b"..":
            del steps[-1:]
        else:
            steps.append(step)
    return steps
