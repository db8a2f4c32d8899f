"""Writes changes of a tree as a layer tar, whiteouts included (OCI image-spec layer.md)."""

import errno
import os
import stat
from collections.abc import Callable, Iterable

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.linux.tree import GONE
from wherry.storage import tarmember as kinds
from wherry.storage.changes import DELETED, EMPTIED, Change
from wherry.storage.tarmember import Member
from wherry.storage.tarwrite import END_OF_TAR, header, new_member, padding

_BUFFER_SIZE = 1 << 18
_NO_FOLLOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
KINDS = {
    stat.S_IFREG: kinds.REGULAR,
    stat.S_IFDIR: kinds.DIRECTORY,
    stat.S_IFLNK: kinds.SYMLINK,
    stat.S_IFCHR: kinds.CHARACTER,
    stat.S_IFBLK: kinds.BLOCK,
    stat.S_IFIFO: kinds.FIFO,
}
_XATTRS_KEPT = ("user.", "security.capability", "system.posix_acl_")
_XATTRS_LEFT = ("user.overlay.",)


Sink = Callable[[bytes], None]


def write_to(out: int) -> Sink:
    """A sink that writes to a file or pipe."""

    def write(piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(out, view) :]

    return write


def pack(root: int, changes: Iterable[Change], sink: Sink) -> None:
    """Give the changes of the tree at `root`, as they are on disk now, to a sink in large pieces. Raises OSError."""
    packer = _Packer(root, sink)
    for change in changes:
        packer.add(change)
    packer.finish()


class _Packer:
    def __init__(self, root: int, sink: Sink) -> None:
        self._root = root
        self._sink = sink
        self._buffer = bytearray()
        self._linked: dict[tuple[int, int], bytes] = {}

    def add(self, change: Change) -> None:
        path = os.fsencode(change.path)
        if change.kind == DELETED:
            directory, slash, name = path.rpartition(b"/")
            self._write(header(_whiteout(directory + slash + b".wh." + name)))
        elif change.kind == EMPTIED:
            self._write(header(_whiteout(path + b"/.wh..wh..opq")))
        else:
            self._add_entry(path)

    def finish(self) -> None:
        self._write(END_OF_TAR)
        self._flush()

    def _add_entry(self, path: bytes) -> None:
        try:
            handle = openat2(self._root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_NO_FOLLOW)
        except OSError as error:
            if error.errno in GONE:
                return  # the container may be running
            raise
        try:
            self._add_opened(path, handle)
        finally:
            os.close(handle)

    def _add_opened(self, path: bytes, handle: int) -> None:
        status = os.fstat(handle)
        kind = KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # a socket has no form in a tar
        member = describe(path, kind, status)
        if kind in {kinds.REGULAR, kinds.DIRECTORY}:
            member.xattrs = _read_xattrs(handle)
        if kind == kinds.DIRECTORY:
            member.name += b"/"
        elif kind == kinds.SYMLINK:
            member.link = os.readlink(b"", dir_fd=handle)
        if kind != kinds.DIRECTORY and self._is_linked(member, status):
            member.kind = kinds.HARD_LINK
        if member.kind == kinds.REGULAR:
            self._add_file(member, handle)
        else:
            self._write(header(member))

    def _is_linked(self, member: Member, status: os.stat_result) -> bool:
        """Whether the file was written before under another name, which is then the member's link."""
        if status.st_nlink == 1:
            return False
        first = self._linked.setdefault((status.st_dev, status.st_ino), member.name)
        if first == member.name:
            return False
        member.link = first
        return True

    def _add_file(self, member: Member, handle: int) -> None:
        # The very file that was looked at: under its name there may be a device by now.
        fd = os.open(_by_descriptor(handle), os.O_RDONLY | os.O_CLOEXEC)
        try:
            member.size = os.fstat(fd).st_size
            self._write(header(member))
            self._write_payload(fd, member.size)
        finally:
            os.close(fd)

    def _write_payload(self, fd: int, size: int) -> None:
        """Exactly `size` bytes, with zeros for what a running container cut off meanwhile."""
        left = size
        if left >= _BUFFER_SIZE:
            self._flush()
        while left and (piece := os.read(fd, min(left, _BUFFER_SIZE))):
            if len(piece) < _BUFFER_SIZE:
                self._write(piece)
            else:
                self._sink(piece)  # as it is, which saves a copy: the buffer is empty
            left -= len(piece)
        while left:
            self._write(bytes(min(left, _BUFFER_SIZE)))
            left -= min(left, _BUFFER_SIZE)
        self._write(padding(size))

    def _write(self, piece: bytes) -> None:
        self._buffer += piece
        if len(self._buffer) >= _BUFFER_SIZE:
            self._flush()

    def _flush(self) -> None:
        piece = bytes(self._buffer)
        self._buffer.clear()
        self._sink(piece)


def _whiteout(name: bytes) -> Member:
    member = new_member(name, kinds.REGULAR)
    member.mode = 0
    return member


def describe(path: bytes, kind: bytes, status: os.stat_result) -> Member:
    """A member of that name and kind with what lstat(2) says."""
    member = new_member(path, kind)
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid = status.st_uid
    member.gid = status.st_gid
    member.mtime_ns = status.st_mtime_ns
    if kind in {kinds.CHARACTER, kinds.BLOCK}:
        member.major = os.major(status.st_rdev)
        member.minor = os.minor(status.st_rdev)
    return member


def _by_descriptor(handle: int) -> bytes:
    return b"/proc/self/fd/%d" % handle


def _read_xattrs(handle: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    path = _by_descriptor(handle)
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return found
        raise
    for name in names:
        if name.startswith(_XATTRS_KEPT) and not name.startswith(_XATTRS_LEFT):
            found[name] = os.getxattr(path, name)
    return found
