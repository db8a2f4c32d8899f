"""Unpacks a tar into a directory of a container, as `docker cp` does, once the process is locked into its file system.

A member replaces what is in its way, two directories merge, names that begin with `.wh.` are names (moby go-archive,
Unpack). Each parent is opened inside the root, so that symlinks lead where they lead for the container, and every
entry is made by its parent's descriptor.
"""

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

from wherry.linux.files import make_directory_inside, open_inside
from wherry.linux.tree import remove
from wherry.storage import tarmember as kinds
from wherry.storage.tarmember import Member
from wherry.storage.tarnumbers import TarError
from wherry.storage.tarread import read_members
from wherry.storage.tarstream import RecordStream
from wherry.storage.unpack import DEVICE_TYPES, NEW_FILE, kept_xattrs

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Rules(NamedTuple):
    """`same_kind` refuses a file for a directory and the reverse; all belongs to `owner`, where there is one."""

    same_kind: bool = False
    owner: tuple[int, int] | None = None


class Extractor:
    """One tar into the directory `target`, whose path has no symlinks."""

    def __init__(self, root: int, target: bytes, rules: Rules) -> None:
        self._root = root
        self._target = target
        self._rules = rules
        self._times: dict[bytes, int] = {}
        self._parent_path = b""
        self._parent_fd = -1

    def apply(self, stream: RecordStream) -> None:
        """Every member, then the directories' times. Raises TarError, OSError."""
        for member in read_members(stream):
            self._apply(member, stream)
        for path, mtime in self._times.items():
            self._set_time(path, mtime)

    def _apply(self, member: Member, stream: RecordStream) -> None:
        steps = self._steps(member.name, "is outside of")
        if not steps:
            if member.kind != kinds.DIRECTORY:
                raise TarError(f"cannot overwrite directory {_quoted(self._target)} with non-directory")
            return  # the directory itself stays as it is
        path = b"/".join(steps)
        try:
            parent = self._parent(steps[:-1])
            self._make_way(member, path, parent, steps[-1])
            self._make(member, parent, steps[-1], stream)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), self._target.rstrip(b"/") + b"/" + path) from None
        if member.kind == kinds.DIRECTORY:
            self._times[path] = member.mtime_ns

    def _steps(self, name: bytes, complaint: str) -> list[bytes]:
        steps: list[bytes] = []
        for step in name.split(b"/"):
            if step in {b"", b"."}:
                continue
            if step != b"..":
                steps.append(step)
            elif steps:
                steps.pop()
            elif not name.startswith(b"/"):
                raise TarError(f"{_quoted(name)} {complaint} {_quoted(self._target)}")
        return steps

    def _parent(self, steps: list[bytes]) -> int:
        """The last one is kept open: a tar comes directory by directory."""
        path = b"/".join(steps)
        if self._parent_fd < 0 or path != self._parent_path:
            self._forget_parent()
            self._parent_fd = make_directory_inside(self._root, self._target + b"/" + path)
            self._parent_path = path
        return self._parent_fd

    def _forget_parent(self) -> None:
        if self._parent_fd >= 0:
            os.close(self._parent_fd)
            self._parent_fd = -1

    def _make_way(self, member: Member, path: bytes, parent: int, name: bytes) -> None:
        """Remove what is there, unless it is a directory to be merged with. Raises TarError where it must stay."""
        try:
            was_directory = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return
        is_directory = member.kind == kinds.DIRECTORY
        if self._rules.same_kind and was_directory != is_directory:
            old, new = ("directory", "non-directory") if was_directory else ("non-directory", "directory")
            raise TarError(f"cannot overwrite {old} {_quoted(path)} with {new} {_quoted(self._target)}")
        if not (was_directory and is_directory):
            remove(parent, os.fsdecode(name))

    def _make(self, member: Member, parent: int, name: bytes, stream: RecordStream) -> None:
        kind = member.kind
        if kind == kinds.REGULAR:
            self._make_file(member, parent, name, stream)
        elif kind == kinds.DIRECTORY:
            self._make_directory(member, parent, name)
        elif kind == kinds.HARD_LINK:
            self._make_hard_link(member, parent, name)
        elif kind == kinds.SYMLINK:
            os.symlink(member.link, name, dir_fd=parent)
            self._own(member, parent, name)
        elif kind in DEVICE_TYPES:
            device = os.makedev(member.major, member.minor) if kind != kinds.FIFO else 0
            os.mknod(name, DEVICE_TYPES[kind] | member.mode, device, dir_fd=parent)
            self._own(member, parent, name)
        else:
            raise TarError(f"unhandled tar header type {kind[0]}")

    def _make_file(self, member: Member, parent: int, name: bytes, stream: RecordStream) -> None:
        fd = os.open(name, NEW_FILE, 0o600, dir_fd=parent)
        try:
            if member.pieces is None:
                stream.copy_payload(fd, member.size)
            else:
                stream.copy_sparse(fd, member.pieces, member.real_size)
            os.fchown(fd, *self._owner(member))
            _set_xattrs(fd, member)
            os.fchmod(fd, member.mode)
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(fd)

    def _make_directory(self, member: Member, parent: int, name: bytes) -> None:
        with suppress(FileExistsError):  # it is merged with
            os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            os.fchown(fd, *self._owner(member))
            _set_xattrs(fd, member)
            os.fchmod(fd, member.mode)
        finally:
            os.close(fd)

    def _make_hard_link(self, member: Member, parent: int, name: bytes) -> None:
        steps = self._steps(member.link, f"is an invalid hardlink of {_quoted(member.name)} in")
        if not steps:
            raise TarError(f"invalid hardlink {_quoted(member.name)} -> {_quoted(member.link)}")
        source = open_inside(self._root, self._target + b"/" + b"/".join(steps[:-1]), os.O_PATH | os.O_DIRECTORY)
        try:
            os.link(steps[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _own(self, member: Member, parent: int, name: bytes) -> None:
        """Owner and times of what has no content; its mode it was born with."""
        os.chown(name, *self._owner(member), dir_fd=parent, follow_symlinks=False)
        os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _owner(self, member: Member) -> tuple[int, int]:
        return self._rules.owner or (member.uid, member.gid)

    def _set_time(self, path: bytes, mtime: int) -> None:
        try:
            fd = open_inside(self._root, self._target + b"/" + path, _DIRECTORY)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                return  # gone since
            raise
        try:
            os.utime(fd, ns=(mtime, mtime))
        finally:
            os.close(fd)


def _set_xattrs(fd: int, member: Member) -> None:
    for name, value in kept_xattrs(member):
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            # dockerd goes on where the file system cannot carry them.
            if error.errno not in {errno.EOPNOTSUPP, errno.EPERM}:
                raise


def _quoted(name: bytes) -> str:
    text = os.fsdecode(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
