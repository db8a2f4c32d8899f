"""The default storage driver: each layer its own directory, stacked by overlayfs."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from wherry.crashpoints import crash_point
from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.linux.tree import OPAQUE_XATTR
from wherry.model.errors import Conflict, EngineError
from wherry.model.finding import Finding
from wherry.storage import audit, worker
from wherry.storage.capture import LayerCapture
from wherry.storage.driver import Usage
from wherry.storage.family import ACTIVE, COMMITTED, Family, write_usage
from wherry.storage.hostfs import filesystem_name
from wherry.storage.overlaymount import LAYERS_MAX, stacked
from wherry.storage.quota import parse_size
from wherry.storage.rootfs import Mounted, copy_root_attributes, opened


class Overlay:
    """Snapshots as directories under `root`, shown by overlayfs. Raises OSError when `root` cannot hold them."""

    name = "overlay"

    def __init__(self, root: Path) -> None:
        self._family = Family(root)

    @contextmanager
    def extract(self, parent: str | None) -> Iterator["OverlayExtraction"]:
        """See StorageDriver."""
        self._family.check_parent(parent)
        with self._family.making(parent) as place:
            self._start_root(parent, place)
            yield OverlayExtraction(self, place, parent)

    def prepare(self, key: str, parent: str | None, options: Mapping[str, str] | None = None) -> None:
        """See StorageDriver."""
        bytes_max = self._size_in(options or {})
        self._family.check_parent(parent)
        if len(self._family.chain(parent)) >= LAYERS_MAX:
            raise Conflict(f"max depth of {LAYERS_MAX} layers exceeded")
        with self._family.making(parent) as place:
            self._start_root(parent, place)
            (place / "work").mkdir(0o700)
            crash_point("storage.root-made")
            if bytes_max:
                self._family.quotas.limit(place, bytes_max)
            self._family.publish(place, key, ACTIVE)

    @contextmanager
    def open(self, key: str, *, read_only: bool = False, fleeting: bool = False) -> Iterator[Mounted]:
        """See StorageDriver."""
        if self._family.is_committed(key):
            with self.view(key) as fd:
                yield Mounted(fd)
            return
        place = self._family.place(key)
        lowers = self._lowers(self._family.parent(key))
        with stacked(lowers, place / "fs", place / "work", volatile=fleeting) as fd:
            yield Mounted(fd, read_only=read_only)

    @contextmanager
    def view(self, key: str | None) -> Iterator[int]:
        """A committed snapshot's whole tree, read-only, as the descriptor of a detached mount; -1 for none."""
        if key is None:
            yield -1
            return
        with stacked(self._lowers(key)) as fd:
            yield fd

    def remove(self, key: str) -> None:
        """See StorageDriver."""
        self._family.remove(key)

    def purge(self) -> None:
        """See StorageDriver."""
        self._family.purge()

    def exists(self, key: str) -> bool:
        """See StorageDriver."""
        return self._family.exists(key)

    def keys(self) -> Iterator[str]:
        """See StorageDriver."""
        return self._family.keys()

    def usage(self, key: str) -> Usage:
        """See StorageDriver."""
        noted = self._family.read_usage(key)
        if noted is not None:
            return noted
        with opened(self._family.tree(key)) as upper:
            size, inodes = worker.measure("overlay", upper, -1)
        return Usage(bytes=size, inodes=inodes)

    @contextmanager
    def diff(self, key: str) -> Iterator[BinaryIO]:
        """See StorageDriver."""
        with ExitStack() as stack:
            upper = stack.enter_context(opened(self._family.tree(key)))
            lower = stack.enter_context(self.view(self._family.parent(key)))
            yield stack.enter_context(worker.diff("overlay", upper, lower))

    @contextmanager
    def capture(self, key: str, parent: str | None) -> Iterator["LayerCapture"]:
        """See StorageDriver."""
        self._family.check_parent(parent)
        with self._family.making(parent) as place:
            self._start_root(parent, place)
            with ExitStack() as stack:
                upper = stack.enter_context(opened(self._family.tree(key)))
                target = stack.enter_context(opened(place / "fs"))
                lower = stack.enter_context(self.view(parent))
                found = worker.capture("overlay", upper, lower, target)
            yield LayerCapture(self._family, place, found)

    def changes(self, key: str) -> Iterator[tuple[str, str]]:
        """See StorageDriver."""
        upper_path, parent = self._family.tree(key), self._family.parent(key)
        return self._changes(upper_path, parent)

    def _changes(self, upper_path: Path, parent: str | None) -> Iterator[tuple[str, str]]:
        with opened(upper_path) as upper, self.view(parent) as lower:
            yield from worker.changes("overlay", upper, lower)

    def describe(self, key: str) -> dict[str, str]:
        """See StorageDriver."""
        place = self._family.place(key)
        lowers = self._lowers(self._family.parent(key))
        paths = {"MergedDir": str(place / "merged"), "UpperDir": str(place / "fs"), "WorkDir": str(place / "work")}
        return {"LowerDir": ":".join(map(str, lowers)), **paths} if lowers else paths

    def status(self) -> list[tuple[str, str]]:
        """See StorageDriver."""
        return [
            ("Backing Filesystem", filesystem_name(self._family.root)),
            ("Supports d_type", "true"),
            ("Using metacopy", "false"),
            ("Native Overlay Diff", "true"),
            ("userxattr", "false"),
        ]

    def audit(self, wanted: Collection[str]) -> list[Finding]:
        """See StorageDriver."""
        return audit.audit(self._family, wanted, with_work=True)

    def mend(self, finding: Finding) -> None:
        """See StorageDriver."""
        audit.mend(self._family, finding)

    def sweep(self, wanted: Collection[str]) -> list[str]:
        """See StorageDriver."""
        return self._family.sweep(wanted)

    def _size_in(self, options: Mapping[str, str]) -> int:
        """How much a snapshot may take, 0 for all that there is. Raises EngineError in dockerd's overlay2's words."""
        names = {name.lower() for name in options}
        if "size" in names and not self._family.quotas.enforced:
            raise EngineError("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
        for name in names - {"size"}:
            raise EngineError(f"Unknown option {name}")
        return max(map(parse_size, options.values()), default=0)

    def _lowers(self, key: str | None) -> list[Path]:
        return [self._family.tree(below) for below in self._family.chain(key)]

    def _start_root(self, parent: str | None, place: Path) -> None:
        """The topmost directory's own attributes are what the whole tree's root shows."""
        if parent is not None:
            copy_root_attributes(self._family.tree(parent), place / "fs")

    def publish(self, place: Path, chain_id: str) -> None:
        """Make an extraction's directory a committed snapshot. Raises Conflict."""
        self._family.publish(place, chain_id, COMMITTED)


class OverlayExtraction:
    """A layer in the making: only its own files, over a view of those below."""

    def __init__(self, driver: Overlay, place: Path, parent: str | None) -> None:
        self._driver = driver
        self._place = place
        self._parent = parent
        self._usage = Usage(bytes=0, inodes=0)

    def apply(self, tar: BinaryIO) -> None:
        """See Extraction."""
        with opened(self._place / "fs") as root, self._driver.view(self._parent) as lower:
            applied = worker.apply(tar, root, lower=lower, on_opaque=lambda path: _make_opaque(root, path))
        crash_point("storage.applied")
        self._usage = Usage(bytes=applied.bytes, inodes=applied.inodes)

    def commit(self, chain_id: str) -> Usage:
        """See Extraction."""
        write_usage(self._place, self._usage)
        crash_point("storage.usage-noted")
        self._driver.publish(self._place, chain_id)
        return self._usage


def _make_opaque(root: int, path: bytes) -> None:
    """Set what the worker has no right to set: trusted attributes need more than it is given."""
    try:
        fd = openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except (FileNotFoundError, NotADirectoryError):
        return  # something else took its place later in the same layer
    try:
        os.setxattr(fd, OPAQUE_XATTR, b"y")
    finally:
        os.close(fd)
