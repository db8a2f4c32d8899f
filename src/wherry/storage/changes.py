"""What a snapshot changes over its parent, from an overlay's own directory or from two whole trees.

Changes come in the order of a walk, a directory before what is in it. A directory that only had to be there for a
change below it counts as changed, as dockerd has it; one that is just the same and has none below does not.
"""

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator

from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.linux.tree import GONE, Children, children, is_opaque, open_directory

ADDED = "A"
MODIFIED = "C"
DELETED = "D"
EMPTIED = "O"  # after a directory's own change: nothing that the parent has in it is left

_CAPABILITY_XATTR = "security.capability"


class Change:
    """One path that differs; `is_certain` is False for a directory that counts only when something below it does.

    `descend` says to look below, where the parent has something too if `has_old`, all of it gone if `is_covered`.
    """

    __slots__ = ("descend", "has_old", "is_certain", "is_covered", "kind", "path")

    def __init__(
        self,
        kind: str,
        path: str,
        *,
        is_certain: bool = True,
        descend: bool = False,
        has_old: bool = False,
        is_covered: bool = False,
    ) -> None:
        self.kind = kind
        self.path = path
        self.is_certain = is_certain
        self.descend = descend
        self.has_old = has_old
        self.is_covered = is_covered


class _Frame:
    """A directory being walked, and its own change while it is not yet certain."""

    __slots__ = ("pending", "visits")

    def __init__(self, visits: Iterator[Change], pending: Change | None) -> None:
        self.visits = visits
        self.pending = pending


class _Walk(ABC):
    """Depth first, without recursion. `old` is -1 without a parent."""

    def __init__(self, new: int, old: int) -> None:
        self._new = new
        self._old = old

    def __iter__(self) -> Iterator[Change]:
        root = Change(MODIFIED, "", is_certain=False, has_old=self._old >= 0)
        stack = [_Frame(self._visit(root), None)]
        while stack:
            change = next(stack[-1].visits, None)
            if change is None:
                stack.pop()
                continue
            if change.is_certain:
                for frame in stack:
                    if frame.pending is not None:
                        yield frame.pending
                        frame.pending = None
                yield change
            if change.descend:
                stack.append(_Frame(self._visit(change), None if change.is_certain else change))

    @abstractmethod
    def _visit(self, directory: Change) -> Iterator[Change]:
        """What differs directly in a directory."""


class OverlayChanges(_Walk):
    """What an overlay's own directory says, over the parent's whole tree. Raises OSError.

    With `spell_out` a directory that hides its lower one is told as one DELETED for each entry that is really gone,
    else by EMPTIED and everything that is there now.
    """

    def __init__(self, upper: int, lower: int, *, spell_out: bool) -> None:
        super().__init__(upper, lower)
        self._spell_out = spell_out

    def _visit(self, directory: Change) -> Iterator[Change]:
        path = directory.path
        try:
            fd = open_directory(self._new, path)
        except OSError as error:
            if error.errno in GONE:
                return  # the container may be running
            raise
        try:
            entries = children(fd)
            hides_lower = directory.has_old and path != "" and is_opaque(fd)
        finally:
            os.close(fd)
        is_covered = directory.is_covered or hides_lower
        gone: list[str] = []
        if is_covered and directory.has_old and self._spell_out:
            gone = _missing(entries, self._old, path)
        elif hides_lower and not directory.is_covered:
            yield Change(EMPTIED, path)
        for name, status in _merged(entries, gone):
            change = self._compare(_join(path, name), status, directory.has_old)
            if change is not None:
                change.is_covered = is_covered
                change.is_certain |= is_covered and not self._spell_out
                yield change

    def _compare(self, path: str, status: os.stat_result | None, has_old: bool) -> Change | None:
        if status is None:
            return Change(DELETED, path)
        old = _lower_status(self._old, path) if has_old else None
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return Change(DELETED, path) if old is not None else None
        if old is None:
            return Change(ADDED, path, descend=stat.S_ISDIR(status.st_mode))
        if not stat.S_ISDIR(status.st_mode):
            return Change(MODIFIED, path)
        was_directory = stat.S_ISDIR(old.st_mode)
        is_changed = not was_directory or _looks_different(old, status)
        return Change(MODIFIED, path, is_certain=is_changed, descend=True, has_old=was_directory)


class TreeChanges(_Walk):
    """What two whole trees differ in. Raises OSError."""

    def _visit(self, directory: Change) -> Iterator[Change]:
        new = self._children(self._new, directory.path)
        old = dict(self._children(self._old, directory.path)) if directory.has_old else {}
        names = {name for name, _ in new}
        for name, status in _merged(new, [name for name in old if name not in names]):
            path = _join(directory.path, name)
            if status is None:
                yield Change(DELETED, path)
            elif name not in old:
                yield Change(ADDED, path, descend=stat.S_ISDIR(status.st_mode))
            else:
                yield from self._compare(path, old[name], status)

    def _compare(self, path: str, old: os.stat_result, new: os.stat_result) -> Iterator[Change]:
        is_directory = stat.S_ISDIR(new.st_mode)
        is_changed = _looks_different(old, new) or self._has_other_capability(path, new)
        if is_directory or is_changed:
            has_old = is_directory and stat.S_ISDIR(old.st_mode)
            yield Change(MODIFIED, path, is_certain=is_changed, descend=is_directory, has_old=has_old)

    def _has_other_capability(self, path: str, status: os.stat_result) -> bool:
        # Giving a file a capability changes neither its times nor its mode.
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            return False
        return _capability(self._new, path) != _capability(self._old, path)

    @staticmethod
    def _children(root: int, path: str) -> Children:
        try:
            fd = open_directory(root, path)
        except OSError as error:
            if error.errno in GONE:
                return []  # the container may be running
            raise
        try:
            return children(fd)
        finally:
            os.close(fd)


def _merged(entries: Children, gone: list[str]) -> list[tuple[str, os.stat_result | None]]:
    """Entries that are there and names that are gone (None), in the order of their bytes."""
    merged: list[tuple[str, os.stat_result | None]] = [*entries, *((name, None) for name in gone)]
    if gone:
        merged.sort(key=lambda entry: os.fsencode(entry[0]))
    return merged


def _missing(entries: Children, lower: int, path: str) -> list[str]:
    """The names a lower directory has and the upper one has not, not even as a whiteout."""
    there = {name for name, _ in entries}
    fd = open_directory(lower, path)
    try:
        return [name for name in os.listdir(fd) if name not in there]
    finally:
        os.close(fd)


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _lower_status(lower: int, path: str) -> os.stat_result | None:
    try:
        fd = openat2(lower, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _looks_different(old: os.stat_result, new: os.stat_result) -> bool:
    """As moby's pkg/archive judges: by kind, mode, owner, device, time, and the size of what is no directory."""
    return (
        old.st_mode != new.st_mode
        or old.st_uid != new.st_uid
        or old.st_gid != new.st_gid
        or old.st_rdev != new.st_rdev
        or old.st_mtime_ns != new.st_mtime_ns
        or (not stat.S_ISDIR(new.st_mode) and old.st_size != new.st_size)
    )


def _capability(root: int, path: str) -> bytes:
    try:
        fd = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno in GONE:
            return b""
        raise
    try:
        return os.getxattr(f"/proc/self/fd/{fd}", _CAPABILITY_XATTR)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.EOPNOTSUPP}:
            return b""
        raise
    finally:
        os.close(fd)
