"""What happens inside a volume's directory: a path below it opened, an image's content copied up into it."""

import errno
import os

from wherry.linux import tree
from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, open_inside, openat2
from wherry.model.errors import InvalidParameter, NotFound


def open_subpath(volume: int, subpath: str) -> int:
    """Something below a volume's directory as an O_PATH descriptor; symlinks may lead about inside but not out.

    Raises InvalidParameter for a path that leaves the volume, NotFound for one that is not there.
    """
    if subpath.startswith("/"):
        raise InvalidParameter("invalid mount config: subpath must be a relative path within the volume")
    try:
        return openat2(volume, subpath or ".", os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise NotFound(f"cannot access path {subpath}: {os.strerror(error.errno)}") from None
        if error.errno in {errno.EXDEV, errno.ELOOP}:
            raise InvalidParameter(f"subpath {subpath} escapes the volume") from None
        raise


def copy_up(rootfs: int, path: str, volume: int) -> bool:
    """Copy what an image has at `path` into an empty volume: contents, and the directory's own owner and mode.

    Both are directories by descriptor; `path` is resolved as a process inside `rootfs` would, so that no symlink of
    the image leads anywhere else. Blocks for as long as the copy takes. Gives whether something was copied: not when
    the volume holds anything or the image nothing at that path. Raises InvalidParameter for a path that is no
    directory, OSError.
    """
    target = openat2(volume, ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        if os.listdir(target):
            return False
        try:
            source = open_inside(rootfs, path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidParameter(f"source {path} is not directory") from None
        try:
            tree.copy(source, target)
        finally:
            os.close(source)
    finally:
        os.close(target)
    return True
