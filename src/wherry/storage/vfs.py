"""The storage driver that works on any file system: each snapshot a whole tree of its own, copied from its parent."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from wherry.model.errors import EngineError
from wherry.model.finding import Finding
from wherry.storage import audit, worker
from wherry.storage.capture import LayerCapture
from wherry.storage.driver import Usage
from wherry.storage.family import ACTIVE, COMMITTED, Family, write_usage
from wherry.storage.hostfs import filesystem_name
from wherry.storage.quota import parse_size
from wherry.storage.rootfs import Mounted, bind, opened


class Vfs:
    """Snapshots as whole directory trees under `root`; data is shared where the file system can (reflink)."""

    name = "vfs"

    def __init__(self, root: Path) -> None:
        self._family = Family(root)

    @contextmanager
    def extract(self, parent: str | None) -> Iterator["VfsExtraction"]:
        """See StorageDriver."""
        self._family.check_parent(parent)
        with self._family.making(parent) as place:
            self._copy_parent(parent, place)
            yield VfsExtraction(self._family, place)

    def prepare(self, key: str, parent: str | None, options: Mapping[str, str] | None = None) -> None:
        """See StorageDriver. The copy of the parent counts, too."""
        bytes_max = self._size_in(options or {})
        self._family.check_parent(parent)
        with self._family.making(parent) as place:
            if bytes_max:
                self._family.quotas.limit(place, bytes_max)
            self._copy_parent(parent, place)
            self._family.publish(place, key, ACTIVE)

    @contextmanager
    def open(self, key: str, *, read_only: bool = False, fleeting: bool = False) -> Iterator[Mounted]:  # noqa: ARG002 - there is no mount of its own whose end could wait
        """See StorageDriver."""
        fd = bind(self._family.tree(key))
        try:
            yield Mounted(fd, read_only=read_only or self._family.is_committed(key))
        finally:
            os.close(fd)

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
        with self._pair(key) as (new, old):
            size, inodes = worker.measure("trees", new, old)
        return Usage(bytes=size, inodes=inodes)

    @contextmanager
    def diff(self, key: str) -> Iterator[BinaryIO]:
        """See StorageDriver."""
        with self._pair(key) as (new, old), worker.diff("trees", new, old) as tar:
            yield tar

    @contextmanager
    def capture(self, key: str, parent: str | None) -> Iterator[LayerCapture]:
        """See StorageDriver."""
        self._family.check_parent(parent)
        with self._family.making(parent) as place:
            with ExitStack() as stack:
                new = stack.enter_context(opened(self._family.tree(key)))
                target = stack.enter_context(opened(place / "fs"))
                old = stack.enter_context(opened(self._family.tree(parent))) if parent is not None else -1
                found = worker.capture("trees", new, old, target)
                size, inodes = worker.measure("trees", target, old)
            yield LayerCapture(self._family, place, found._replace(bytes=size, inodes=inodes))

    def changes(self, key: str) -> Iterator[tuple[str, str]]:
        """See StorageDriver."""
        self._family.place(key)
        return self._changes(key)

    def _changes(self, key: str) -> Iterator[tuple[str, str]]:
        with self._pair(key) as (new, old):
            yield from worker.changes("trees", new, old)

    def describe(self, key: str) -> dict[str, str]:
        """See StorageDriver."""
        return {"Dir": str(self._family.tree(key))}

    def status(self) -> list[tuple[str, str]]:
        """See StorageDriver."""
        return [("Backing Filesystem", filesystem_name(self._family.root))]

    def audit(self, wanted: Collection[str]) -> list[Finding]:
        """See StorageDriver."""
        return audit.audit(self._family, wanted, with_work=False)

    def mend(self, finding: Finding) -> None:
        """See StorageDriver."""
        audit.mend(self._family, finding)

    def sweep(self, wanted: Collection[str]) -> list[str]:
        """See StorageDriver."""
        return self._family.sweep(wanted)

    @contextmanager
    def _pair(self, key: str) -> Iterator[tuple[int, int]]:
        """A snapshot's tree and its parent's, -1 without one."""
        parent = self._family.parent(key)
        with ExitStack() as stack:
            new = stack.enter_context(opened(self._family.tree(key)))
            old = stack.enter_context(opened(self._family.tree(parent))) if parent is not None else -1
            yield new, old

    def _size_in(self, options: Mapping[str, str]) -> int:
        """How much a snapshot may take, 0 for all that there is. Raises EngineError in dockerd's vfs's words."""
        for name in options.keys() - {"size"}:
            raise EngineError(f"Storage opt {name} not supported")
        if options and not self._family.quotas.enforced:
            raise EngineError("Filesystem does not support, or has not enabled quotas")
        return max(map(parse_size, options.values()), default=0)

    def _copy_parent(self, parent: str | None, place: Path) -> None:
        if parent is None:
            return
        with opened(self._family.tree(parent)) as source, opened(place / "fs") as target:
            worker.copy(source, target)


class VfsExtraction:
    """A layer in the making: a copy of its parent, changed."""

    def __init__(self, family: Family, place: Path) -> None:
        self._family = family
        self._place = place
        self._usage = Usage(bytes=0, inodes=0)

    def apply(self, tar: BinaryIO) -> None:
        """See Extraction."""
        with opened(self._place / "fs") as root:
            applied = worker.apply(tar, root, is_full=True)
        self._usage = Usage(bytes=applied.bytes, inodes=applied.inodes)

    def commit(self, chain_id: str) -> Usage:
        """See Extraction."""
        write_usage(self._place, self._usage)
        self._family.publish(self._place, chain_id, COMMITTED)
        return self._usage
