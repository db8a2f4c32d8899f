"""The layer between an image and its containers: mount points for what the engine mounts into every one of them.

As moby's daemon/initlayer has it: a non-directory that stands in the way of one of these paths, a symlink such as
`/dev -> /somewhere` included, is replaced, so that nothing is ever mounted through an image's symlink. It is made by
applying a small tar like any other layer: no path of the image is opened for writing here.
"""

import io
import os
import stat
import time
from collections.abc import Callable

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.model.errors import Conflict
from wherry.storage import tarmember as kinds
from wherry.storage.driver import StorageDriver
from wherry.storage.tarwrite import END_OF_TAR, header, new_member

DIRECTORIES = ("dev/pts", "dev/shm", "proc", "sys")
FILES = (".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf")
LINKS = (("etc/mtab", "/proc/mounts"),)

_NO_PARENT = "scratch-init"
_MODE = 0o755

IsDirectory = Callable[[str], bool]


def init_key(parent: str | None) -> str:
    """The key of the init layer on a committed snapshot, or on nothing."""
    return f"{parent}-init" if parent else _NO_PARENT


def ensure_init_layer(driver: StorageDriver, parent: str | None) -> str:
    """Have the init layer of a committed snapshot; its key, to be the parent of active ones. Raises NotFound."""
    key = init_key(parent)
    if driver.exists(key):
        return key
    with driver.extract(parent or None) as extraction:
        extraction.apply(io.BytesIO(_tar_for(driver, parent)))
        try:
            extraction.commit(key)
        except Conflict:
            return key  # another container of the same image was quicker
    return key


def init_tar(is_directory: IsDirectory, mtime_ns: int) -> bytes:
    """The layer as a tar, for a tree of which `is_directory` tells what is one, no symlink counting."""
    pieces = [_entry(path, is_directory, mtime_ns) for path in _with_parents()]
    pieces += [_link(path, target, mtime_ns) for path, target in LINKS if not is_directory(path)]
    return b"".join(pieces) + END_OF_TAR


def _with_parents() -> list[str]:
    paths = [*DIRECTORIES, *FILES]
    parents = {path.rpartition("/")[0] for path in (*paths, *(path for path, _ in LINKS))} - {""}
    return sorted({*paths, *parents})


def _entry(path: str, is_directory: IsDirectory, mtime_ns: int) -> bytes:
    if is_directory(path):
        return b""  # whatever it is like, it can be mounted on
    member = new_member(path.encode(), kinds.REGULAR if path in FILES else kinds.DIRECTORY)
    member.mode = _MODE
    member.mtime_ns = mtime_ns
    return header(member)


def _link(path: str, target: str, mtime_ns: int) -> bytes:
    member = new_member(path.encode(), kinds.SYMLINK)
    member.mode = 0o777
    member.link = target.encode()
    member.mtime_ns = mtime_ns
    return header(member)


def _tar_for(driver: StorageDriver, parent: str | None) -> bytes:
    if not parent:
        return init_tar(lambda _: False, time.time_ns())
    with driver.open(parent, read_only=True) as rootfs:
        return init_tar(lambda path: _is_directory(rootfs.fd, path), time.time_ns())


def _is_directory(root: int, path: str) -> bool:
    try:
        fd = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError:
        return False  # not there, or something in the way that is to be replaced
    try:
        return stat.S_ISDIR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
