"""Writes part of a container's file system as the tar that `docker cp` and `docker export` give."""

import errno
import os
import stat

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.linux.tree import GONE, walk
from wherry.storage import tarmember as kinds
from wherry.storage.outlet import Outlet
from wherry.storage.pack import KINDS, describe
from wherry.storage.tarmember import Member
from wherry.storage.tarwrite import END_OF_TAR, header, padding

_CAPABILITY = "security.capability"
_NO_FOLLOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
# Should a pipe or a device stand there by now, opening must not wait for anybody.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# An entry that was swapped or removed, or whose opening something refuses, is left out.
_LEFT_OUT = (*GONE, errno.EACCES, errno.ENXIO, errno.ESTALE)


def take_tree(root: int, prefix: bytes, outlet: Outlet) -> None:
    """Everything below a directory, under names that begin with `prefix`. Raises OSError, outlet.Gone."""
    taker = _Taker(root, prefix, outlet)
    for path, status in walk(root):
        taker.add(os.fsencode(path), status)


def take_one(directory: int, name: bytes, member_name: bytes, outlet: Outlet) -> None:
    """One entry of a directory, which may be anything. Raises OSError, outlet.Gone."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    _Taker(directory, b"", outlet).add(name, status, member_name)


def finish(outlet: Outlet) -> None:
    """The end of the tar. Raises OSError, outlet.Gone."""
    outlet.write(END_OF_TAR)
    outlet.finish()


class _Taker:
    def __init__(self, root: int, prefix: bytes, outlet: Outlet) -> None:
        self._root = root
        self._prefix = prefix
        self._outlet = outlet
        self._linked: dict[tuple[int, int], bytes] = {}

    def add(self, path: bytes, status: os.stat_result, name: bytes = b"") -> None:
        kind = KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # a socket has no form in a tar
        member = describe(name or self._prefix + path, kind, status)
        try:
            self._add(member, path, status)
        except OSError as error:
            if error.errno not in _LEFT_OUT:
                raise

    def _add(self, member: Member, path: bytes, status: os.stat_result) -> None:
        if member.kind == kinds.DIRECTORY:
            member.name = member.name.rstrip(b"/") + b"/"
        elif self._is_linked(member, status):
            member.kind = kinds.HARD_LINK
        elif member.kind == kinds.SYMLINK:
            member.link = self._read_link(path)
        elif member.kind == kinds.REGULAR:
            self._add_file(member, path)
            return
        self._outlet.write(header(member))

    def _is_linked(self, member: Member, status: os.stat_result) -> bool:
        """Whether the file was written before under another name, which is then the member's link."""
        if status.st_nlink == 1:
            return False
        member.link = self._linked.setdefault((status.st_dev, status.st_ino), member.name)
        return member.link != member.name

    def _read_link(self, path: bytes) -> bytes:
        handle = openat2(self._root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_NO_FOLLOW)
        try:
            return os.readlink(b"", dir_fd=handle)
        finally:
            os.close(handle)

    def _add_file(self, member: Member, path: bytes) -> None:
        fd = openat2(self._root, path, _READ, resolve=_NO_FOLLOW)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return
            member.size = status.st_size
            member.link = b""
            member.xattrs = _capability_of(fd)
            self._outlet.write(header(member))
            self._outlet.write_file(fd, member.size)
            self._outlet.write(padding(member.size))
        finally:
            os.close(fd)


def _capability_of(fd: int) -> dict[str, bytes]:
    """As dockerd: a file's capabilities, and no other attribute."""
    try:
        return {_CAPABILITY: os.getxattr(fd, _CAPABILITY)}
    except OSError:
        return {}
