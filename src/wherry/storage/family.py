"""Snapshots as directories on disk: which there are, which stands on which; shared by the drivers.

On disk, under the driver's own directory (mode 0710: what images hold is not for the host's users, CVE-2021-41091):
```
committed/<key>/    fs/        the layer's tree
                    parent     a symlink naming the key of the snapshot below, if any
                    usage      a symlink to "BYTES INODES", what the layer brought
active/<key>/       fs/  work/  parent
                    quota      an empty file, where its size is limited (storage.quota)
new/<random>/       being made; renamed to its place when whole and synced
trash/<random>/     renamed away; deleted by `purge`
```
A key's colon is written as a dash (`sha256-…`), because overlayfs separates directories by colons.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Lock

from wherry.crashpoints import crash_point
from wherry.linux import tree
from wherry.linux.sync import sync_filesystem
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.storage.driver import Usage
from wherry.storage.quota import Quotas

COMMITTED = "committed"
ACTIVE = "active"
NEW = "new"
TRASH = "trash"
INIT_SUFFIX = "-init"

_MODE = 0o710
_KEY = re.compile(r"(?:sha256:)?[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,199}")


class Family:
    """The snapshots of one driver. Safe from any thread; a key is changed by one caller at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = Lock()
        self._unfinished: set[str] = set()
        self._purging = Lock()
        for directory in (root, *(root / part for part in (COMMITTED, ACTIVE, NEW, TRASH))):
            directory.mkdir(mode=_MODE, parents=True, exist_ok=True)
            directory.chmod(_MODE)
        self.quotas = Quotas(root, root / TRASH)
        # Every snapshot by key: where it is, and its parent.
        self._members: dict[str, tuple[Path, str | None]] = {}
        for part in (COMMITTED, ACTIVE):
            for place in (root / part).iterdir():
                self._members[_key_of(place.name)] = (place, _read_parent(place))

    # Looking

    def exists(self, key: str) -> bool:
        """Whether there is such a snapshot."""
        return key in self._members

    def keys(self) -> Iterator[str]:
        """Every snapshot."""
        return iter(tuple(self._members))

    def place(self, key: str) -> Path:
        """Its directory. Raises NotFound."""
        return self._member(key)[0]

    def tree(self, key: str) -> Path:
        """The directory of its files. Raises NotFound."""
        return self.place(key) / "fs"

    def parent(self, key: str) -> str | None:
        """The key of what it stands on. Raises NotFound."""
        return self._member(key)[1]

    def is_committed(self, key: str) -> bool:
        """Whether it is immutable. Raises NotFound."""
        return self.place(key).parent.name == COMMITTED

    def chain(self, key: str | None) -> tuple[str, ...]:
        """The snapshot and all below it, the topmost first. Raises NotFound."""
        found = []
        while key is not None:
            found.append(key)
            key = self.parent(key)
        return tuple(found)

    def check_parent(self, parent: str | None) -> None:
        """A parent must be committed. Raises NotFound, InvalidParameter."""
        if parent is not None and not self.is_committed(parent):
            raise InvalidParameter(f"snapshot {parent} is not committed")

    def unwanted(self, wanted: Collection[str]) -> list[str]:
        """Every snapshot but the wanted, those below, and the init layers on these; the topmost first."""
        kept = set(wanted) & set(self._members)
        kept |= {below for key in kept for below in self._known_below(key)}
        kept |= {key + INIT_SUFFIX for key in kept}
        gone = {key: len(self._known_below(key)) for key in sorted(self._members) if key not in kept}
        return sorted(gone, key=lambda key: -gone[key])

    def strangers(self) -> list[Path]:
        """Directories in our places that are no snapshot's, and that nobody is just making."""
        with self._lock:
            known = {place for place, _ in self._members.values()}
            found = [place for part in (COMMITTED, ACTIVE) for place in (self.root / part).iterdir()]
            begun = [place for place in (self.root / NEW).iterdir() if place.name not in self._unfinished]
        return sorted([*(place for place in found if place not in known), *begun])

    def discarded(self) -> list[Path]:
        """What is in the trash."""
        return sorted((self.root / TRASH).iterdir())

    # Changing

    @contextlib.contextmanager
    def making(self, parent: str | None) -> Iterator[Path]:
        """A fresh directory with an empty `fs`; what is still there at the end was not published, and goes."""
        place = self.root / NEW / secrets.token_hex(16)
        self._unfinished.add(place.name)
        try:
            place.mkdir(_MODE)
            (place / "fs").mkdir()
            (place / "fs").chmod(0o755)  # whatever the umask: it is what a container's / will be
            if parent is not None:
                # A symlink's target is metadata, which a journal keeps with its directory.
                (place / "parent").symlink_to(parent)
            crash_point("storage.begun")
            yield place
        finally:
            self._delete(place)
            self._unfinished.discard(place.name)

    def publish(self, place: Path, key: str, kind: str, *, tree_is_synced: bool = False) -> None:
        """Put a finished directory in its place, after all of it is on the disk. Raises Conflict, InvalidParameter."""
        name = _name_of(key)
        if kind == COMMITTED:
            if tree_is_synced:
                _sync_directory(place)
            else:
                sync_filesystem(place)
            crash_point("storage.synced")
        with self._lock:
            if key in self._members:
                raise Conflict(f"snapshot {key} already exists")
            parent = _read_parent(place)
            if parent is not None and parent not in self._members:
                raise NotFound(f"snapshot {parent} does not exist")
            target = self.root / kind / name
            place.rename(target)
            crash_point("storage.published")
            self._members[key] = (target, parent)
        if kind == COMMITTED:
            _sync_directory(target.parent)

    def remove(self, key: str) -> None:
        """Move a snapshot, and an init layer on it that nobody uses, to the trash. Raises NotFound, Conflict."""
        with self._lock:
            self._member(key)
            children = [other for other, (_, parent) in self._members.items() if parent == key]
            init = key + INIT_SUFFIX
            if children == [init] and not self._has_children(init):
                self._discard(init)
                children = []
            if children:
                raise Conflict(f"snapshot {key} is in use by {', '.join(sorted(children))}")
            self._discard(key)

    def purge(self) -> None:
        """Delete what is in the trash."""
        with self._purging:
            for place in (self.root / TRASH).iterdir():
                crash_point("storage.purging")
                self._delete(place)

    def sweep(self, wanted: Collection[str]) -> list[str]:
        """Remove what a crash left and every snapshot but the wanted, those below, and the init layers on these."""
        gone = self.unwanted(wanted)
        with self._lock:
            for key in gone:
                self._discard(key)
            leftovers = sorted(place.name for place in (self.root / NEW).iterdir())
            for name in leftovers:
                (self.root / NEW / name).rename(self.root / TRASH / name)
        self.purge()
        return gone + leftovers

    def throw_away(self, stranger: Path) -> None:
        """Move one of the `strangers` to the trash. Raises NotFound when it is none (any more)."""
        if stranger not in self.strangers():
            raise NotFound(f"{stranger} is in use or gone")
        stranger.rename(self.root / TRASH / secrets.token_hex(16))

    def read_usage(self, key: str) -> Usage | None:
        """What was noted when the snapshot was committed. Raises NotFound."""
        try:
            size, inodes = os.readlink(self.place(key) / "usage").split()
        except OSError:
            return None
        return Usage(bytes=int(size), inodes=int(inodes))

    def _member(self, key: str) -> tuple[Path, str | None]:
        found = self._members.get(key)
        if found is None:
            raise NotFound(f"snapshot {key} does not exist")
        return found

    def _known_below(self, key: str) -> list[str]:
        """Itself and all below it, down to one that is missing, should one be."""
        found = []
        below: str | None = key
        while below is not None and below in self._members:
            found.append(below)
            below = self._members[below][1]
        return found

    def _has_children(self, key: str) -> bool:
        return any(parent == key for _, parent in self._members.values())

    def _discard(self, key: str) -> None:
        place, _ = self._members.pop(key)
        # One that somebody deleted by hand is as good as removed.
        with contextlib.suppress(FileNotFoundError):
            place.rename(self.root / TRASH / secrets.token_hex(16))
        crash_point("storage.discarded")

    def _delete(self, place: Path) -> None:
        self.quotas.release(place)
        fd = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            tree.remove(fd, place.name)
        finally:
            os.close(fd)


def write_usage(place: Path, usage: Usage) -> None:
    """Note what a layer brought, before it is published."""
    (place / "usage").symlink_to(f"{usage.bytes} {usage.inodes}")


def _read_parent(place: Path) -> str | None:
    try:
        return os.readlink(place / "parent")
    except FileNotFoundError:
        return None


def _name_of(key: str) -> str:
    if not _KEY.fullmatch(key) or key.startswith("sha256-"):
        raise InvalidParameter(f"invalid snapshot key: {key!r}")
    return key.replace(":", "-", 1)


def _key_of(name: str) -> str:
    return f"sha256:{name.removeprefix('sha256-')}" if name.startswith("sha256-") else name


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
