"""xattr(7): extended attributes of one entry of a directory, never through a symlink."""

import os


def list_at(dir_fd: int, name: bytes) -> list[str]:
    """The names of an entry's attributes; the entry may be a symlink itself. Raises OSError."""
    return os.listxattr(_path(dir_fd, name), follow_symlinks=False)


def read_at(dir_fd: int, name: bytes, key: str) -> bytes:
    """One attribute's value. Raises OSError (ENODATA when there is none)."""
    return os.getxattr(_path(dir_fd, name), key, follow_symlinks=False)


def write_at(dir_fd: int, name: bytes, key: str | bytes, value: bytes) -> None:
    """Set one attribute. Raises OSError."""
    os.setxattr(_path(dir_fd, name), key, value, follow_symlinks=False)


def remove_at(dir_fd: int, name: bytes, key: str) -> None:
    """Remove one attribute. Raises OSError (ENODATA when there is none)."""
    os.removexattr(_path(dir_fd, name), key, follow_symlinks=False)


def _path(dir_fd: int, name: bytes) -> bytes:
    # There are no *at() forms before Linux 6.13; the last component is the only one that could be a symlink.
    if b"/" in name or name in (b"", b".."):
        raise ValueError(f"not the name of a directory entry: {name!r}")
    return b"/proc/self/fd/%d/%s" % (dir_fd, name)
