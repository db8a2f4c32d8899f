"""Applies the members of a layer tar to the tree at `/`: what the child process does, once it is confined.

The rules are those of OCI image-spec layer.md and, where that is silent, of dockerd: a member replaces what is in
its way, two directories merge, the root's own attributes stay, `.wh.` names hide. In an overlay's directory hiding
means to leave a device 0:0 or to make a directory opaque; in a full tree it means to remove.
"""

import errno
import os
import stat
from collections.abc import Callable

from wherry.linux.tree import copy_data, measure, remove
from wherry.storage import tarmember as kinds
from wherry.storage.place import Places, is_whiteout, split
from wherry.storage.tarmember import Member
from wherry.storage.tarnumbers import TarError
from wherry.storage.tarread import read_members
from wherry.storage.tarstream import RecordStream

WHITEOUT = b".wh."
META = b".wh..wh."
OPAQUE = b".wh..wh..opq"

_PATH_BYTES_MAX = 4095
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DEVICE_TYPES = {kinds.CHARACTER: stat.S_IFCHR, kinds.BLOCK: stat.S_IFBLK, kinds.FIFO: stat.S_IFIFO}
_XATTRS_KEPT = ("user.", "security.capability", "system.posix_acl_")
_XATTRS_REFUSED = ("user.overlay.", "trusted.overlay.")


class Unpacker:
    """One layer being applied. `lower` shows the layers below an overlay's own directory, -1 without one.

    `is_full` says that the tree at `/` already holds all below, so that hiding removes.
    """

    def __init__(self, *, lower: int, is_full: bool) -> None:
        self.places = Places(lower)
        self.bytes = 0
        self.inodes = 0
        self._is_full = is_full
        self._is_base = lower < 0 and not is_full
        # In a full tree only the memory of what this layer brought tells it from what was there.
        self._brought: set[bytes] = set()

    def apply(self, stream: RecordStream) -> None:
        """Every member of the tar, then the directories' times. Raises TarError, OSError."""
        for member in read_members(stream):
            try:
                self._apply(member, stream)
            except OSError as error:
                if not isinstance(error.filename, str | bytes):
                    error.filename = member.name  # a call by descriptor knows no name
                raise
        for path, mtime in self.places.times.items():
            try:
                is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone with its parent, later in the same tar
            if is_directory:
                os.utime(path, ns=(mtime, mtime), follow_symlinks=False)
        self.inodes += self.places.inodes_implied

    def _apply(self, member: Member, stream: RecordStream) -> None:
        steps = split(member.name)
        if not steps:
            return  # dockerd leaves the root directory's own attributes alone
        # Said before thousands of directories are made for a name that no system call would take.
        if sum(map(len, steps)) + len(steps) > _PATH_BYTES_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        base = steps[-1]
        if base.startswith(WHITEOUT):
            self._apply_whiteout(steps)
            return
        parent = self.places.directory(steps[:-1])
        path = parent + b"/" + base if parent else base
        if member.kind == kinds.CHARACTER and member.major == member.minor == 0:
            self._hide(path)  # overlayfs's own whiteout, which no tar should hold, means the same
            return
        self._make(member, path, stream)
        if self._is_full:
            self._brought.add(path)

    # Whiteouts

    def _apply_whiteout(self, steps: list[bytes]) -> None:
        base = steps[-1]
        if base == OPAQUE:
            self._hide_all(self.places.directory(steps[:-1]))
            return
        if base.startswith(META):
            return  # metadata of aufs
        hidden = base.removeprefix(WHITEOUT)
        if hidden in {b"", b".", b".."}:
            raise TarError(f"invalid whiteout: {os.fsdecode(b'/'.join(steps))!r}")
        parent = self.places.directory(steps[:-1])
        self._hide(parent + b"/" + hidden if parent else hidden)

    def _hide(self, path: bytes) -> None:
        """Hide what the layers below have at a path; what this layer itself has there stays."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            if self.places.lower_status(path) is not None:
                os.mknod(path, stat.S_IFCHR, 0)
                self.inodes += 1
            return
        if self._is_full:
            self._remove_below(path, status)
        elif stat.S_ISDIR(status.st_mode):
            self.places.cover(path)

    def _hide_all(self, path: bytes) -> None:
        """Hide all that the layers below have in a directory."""
        if self._is_full:
            for name in os.listdir(path or b"."):
                below = path + b"/" + name if path else name
                self._remove_below(below, os.lstat(below))
        elif path:
            self.places.cover(path)
        else:
            # The root of an overlay is always merged, so each of its entries is hidden by itself.
            for name in self.places.lower_root():
                self._hide(name)

    def _remove_below(self, path: bytes, status: os.stat_result) -> None:
        """Remove from a full tree what this layer did not bring."""
        if path not in self._brought:
            self._remove(path)
        elif stat.S_ISDIR(status.st_mode):
            self._hide_all(path)

    # Making

    def _make(self, member: Member, path: bytes, stream: RecordStream) -> None:
        kind = member.kind
        if kind == kinds.REGULAR:
            self._make_file(member, path, stream)
        elif kind == kinds.DIRECTORY:
            self._make_directory(member, path)
        elif kind == kinds.SYMLINK:
            self._place(path, lambda: os.symlink(member.link, path))
            self._set_attributes(member, path)
            self.bytes += len(member.link)
        elif kind == kinds.HARD_LINK:
            self._make_hard_link(member, path)
        elif kind in DEVICE_TYPES:
            mode = DEVICE_TYPES[kind] | member.mode
            device = os.makedev(member.major, member.minor) if kind != kinds.FIFO else 0
            self._place(path, lambda: os.mknod(path, mode, device))
            self._set_attributes(member, path)
        else:
            raise TarError(f"unhandled tar header type {kind[0]}")

    def _make_file(self, member: Member, path: bytes, stream: RecordStream) -> None:
        try:
            fd = os.open(path, NEW_FILE, 0o600)
        except FileExistsError:
            self._clear(path)
            fd = os.open(path, NEW_FILE, 0o600)
        self.inodes += 1
        try:
            if member.pieces is None:
                stream.copy_payload(fd, member.size)
                self.bytes += member.size
            else:
                self._fill_sparse(member, fd, stream)
            os.fchown(fd, member.uid, member.gid)
            if member.xattrs:
                _set_xattrs(member, fd)
            os.fchmod(fd, member.mode)
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(fd)

    def _fill_sparse(self, member: Member, fd: int, stream: RecordStream) -> None:
        stream.copy_sparse(fd, member.pieces or [], member.real_size)
        self.bytes += member.real_size

    def _make_directory(self, member: Member, path: bytes) -> None:
        try:
            os.mkdir(path, 0o700)
            self.inodes += 1
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                self._clear(path)
                os.mkdir(path, 0o700)
                self.inodes += 1
                self.places.cover(path)
        self._set_attributes(member, path)
        self.places.times[path] = member.mtime_ns

    def _make_hard_link(self, member: Member, path: bytes) -> None:
        steps = split(member.link)
        if not steps:
            raise TarError(f"invalid hardlink {os.fsdecode(member.name)!r} -> {os.fsdecode(member.link)!r}")
        parent = self.places.directory(steps[:-1])
        target = parent + b"/" + steps[-1] if parent else steps[-1]
        if target == path and (os.path.lexists(path) or self.places.lower_status(path) is not None):
            return
        self._bring_up(target)
        if not self._is_full and is_whiteout(os.lstat(target)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target)
        self._place(path, lambda: os.link(target, path, follow_symlinks=False))
        self.inodes -= 1  # a name more, no inode
        self._set_attributes(member, path)

    def _bring_up(self, path: bytes) -> None:
        """A hard link may go to a file of a layer below: this layer then gets its own copy, as overlayfs would."""
        if self._is_full or self._is_base or os.path.lexists(path):
            return
        below = self.places.lower_status(path)
        if below is None or not stat.S_ISREG(below.st_mode):
            return
        source = self.places.lower_file(path)
        target = os.open(path, NEW_FILE, 0o600)
        try:
            copy_data(source, target)
            os.fchown(target, below.st_uid, below.st_gid)
            os.fchmod(target, stat.S_IMODE(below.st_mode))
            os.utime(target, ns=(below.st_mtime_ns, below.st_mtime_ns))
        finally:
            os.close(source)
            os.close(target)
        self.bytes += below.st_size
        self.inodes += 1

    def _place(self, path: bytes, make: Callable[[], None]) -> None:
        try:
            make()
        except FileExistsError:
            self._clear(path)
            make()
        self.inodes += 1

    def _clear(self, path: bytes) -> None:
        """Remove what is in the way of a new entry that is not to be merged with it."""
        status = os.lstat(path)
        if not self._is_full or path in self._brought:
            self._discount(path, status)
        self._remove(path)

    def _discount(self, path: bytes, status: os.stat_result) -> None:
        """What this layer made is replaced by itself, so it no longer counts."""
        if stat.S_ISDIR(status.st_mode):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                size, inodes = measure(fd)
            finally:
                os.close(fd)
            self.bytes -= size
            self.inodes -= inodes + 1
        elif status.st_nlink == 1:
            self.inodes -= 1
            self.bytes -= status.st_size

    def _remove(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        fd = os.open(parent or b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(fd, os.fsdecode(name))
        finally:
            os.close(fd)
        self.places.forget()

    def _set_attributes(self, member: Member, path: bytes) -> None:
        """Owner, xattrs, mode, times of anything but a new file; a symlink has no mode of its own."""
        status = os.lstat(path)
        # chown(2) takes file capabilities away even when it changes nothing, which would hurt a hard link's target.
        if (status.st_uid, status.st_gid) != (member.uid, member.gid):
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if member.xattrs:
            _set_xattrs(member, path)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(path, member.mode)
        if member.kind != kinds.DIRECTORY:
            os.utime(path, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)


def _set_xattrs(member: Member, subject: int | bytes) -> None:
    for name, value in kept_xattrs(member):
        try:
            if isinstance(subject, int):
                os.setxattr(subject, name, value)
            else:
                os.setxattr(subject, name, value, follow_symlinks=False)
        except OSError as error:
            # dockerd goes on where the file system (or a symlink) cannot carry them.
            if error.errno not in {errno.EOPNOTSUPP, errno.EPERM}:
                raise


def kept_xattrs(member: Member) -> list[tuple[str, bytes]]:
    """Those a tar may bring: the user's, file capabilities, ACLs; never what overlayfs keeps for itself."""
    return [
        (name, value)
        for name, value in member.xattrs.items()
        if name.startswith(_XATTRS_KEPT) and not name.startswith(_XATTRS_REFUSED)
    ]
