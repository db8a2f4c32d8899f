"""The Protocol of a storage driver: snapshots of layers, in containerd's terms.

Terms
-----
Committed snapshot
    An immutable layer, named by the chain id of everything up to it.
Active snapshot
    A writable one on top of a committed parent, named by a key of its owner's choice.
Mount
    How to see a snapshot, as a value; `open` makes it a detached mount that exists in no mount table.

An example
----------
>>> with driver.extract(parent=None) as layer:          # a fresh, hidden directory tree
...     apply_tar(layer, stream)                        # done in a locked-down child
...     layer.commit("sha256:…chain")                   # now durable and visible; without commit it vanishes
>>> driver.prepare("container-1", parent="sha256:…chain")
>>> with driver.open("container-1") as rootfs:          # a descriptor of a detached mount
...     ...                                             # hand os.dup(rootfs.fd) to the execution driver
>>> driver.remove("container-1")

All calls block and are safe to call from any thread; callers on an event loop use a thread. A key is used by one
caller at a time. Every change is whole or not at all: a crash leaves only what `sweep` removes.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from wherry.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a snapshot itself takes, without its parents."""

    bytes: int
    inodes: int


class Rootfs(Protocol):
    """A snapshot that is open as a detached mount. Leaving the context closes it; a mount moved away stays."""

    @property
    def fd(self) -> int:
        """The mount's descriptor, good for openat2(2), move_mount(2) and dup(2)."""


class Extraction(Protocol):
    """A layer in the making, on top of its parent."""

    def apply(self, tar: BinaryIO) -> None:
        """Unpack an uncompressed layer tar (OCI image-spec layer.md) in a locked-down child.

        Called once. Raises InvalidParameter for a bad tar, and whatever `tar.read` raises.
        """

    def commit(self, chain_id: str) -> Usage:
        """Make it a committed snapshot. Raises Conflict when that chain id is there already."""


class Capture(Protocol):
    """What an active snapshot changed, as a layer in the making: the digest and the size of the tar that it is."""

    diff_id: str
    tar_bytes: int

    def commit(self, chain_id: str) -> Usage:
        """Make it a committed snapshot. Raises Conflict when that chain id is there already."""


class StorageDriver(Protocol):
    """Keeps snapshots under one directory."""

    name: str

    def extract(self, parent: str | None) -> AbstractContextManager[Extraction]:
        """A new layer on top of a committed parent, or on nothing. Raises NotFound for an unknown parent."""

    def prepare(self, key: str, parent: str | None, options: Mapping[str, str] | None = None) -> None:
        """Make an active snapshot. Raises NotFound, Conflict.

        The options are those of `docker create --storage-opt`: what they are is the driver's to say, and EngineError
        what it cannot do. Ours know `size`, the most that the snapshot may take, where the file system has quotas.
        """

    def open(self, key: str, *, read_only: bool = False, fleeting: bool = False) -> AbstractContextManager[Rootfs]:
        """See a snapshot, active or committed (then always read-only). Raises NotFound.

        What is written to a `fleeting` one need not outlive the machine's end, so nothing waits for the disk.
        An active snapshot is opened once at a time: while its container runs, look through the container instead.
        """

    def remove(self, key: str) -> None:
        """Remove an active or committed snapshot. Raises NotFound; Conflict while others stand on it.

        Quick: what it held is deleted by `purge`. An init layer (`<key>-init`) that nothing stands on goes with it.
        """

    def purge(self) -> None:
        """Delete from the disk what `remove` took away. Slow; to be called after the answer."""

    def exists(self, key: str) -> bool:
        """Whether there is such a snapshot, active or committed."""

    def usage(self, key: str) -> Usage:
        """What it takes on disk. Raises NotFound."""

    def diff(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Its own changes over its parent as an uncompressed layer tar with OCI whiteouts. Raises NotFound."""

    def capture(self, key: str, parent: str | None) -> AbstractContextManager[Capture]:
        """Its own files, as they are now, as a layer on a committed one. Raises NotFound, EngineError.

        Once that is committed, `diff` gives the very tar whose digest was told.
        """

    def changes(self, key: str) -> Iterator[tuple[str, str]]:
        """Its changes over its parent: ("A"|"C"|"D", absolute path), in path order. Raises NotFound."""

    def keys(self) -> Iterator[str]:
        """Every snapshot, active and committed."""

    def describe(self, key: str) -> dict[str, str]:
        """What inspect shows under GraphDriver.Data: LowerDir, MergedDir, UpperDir, WorkDir, or Dir."""

    def status(self) -> list[tuple[str, str]]:
        """What `docker info` shows under the storage driver."""

    def audit(self, wanted: Collection[str]) -> list[Finding]:
        """What `sweep` would remove and other leftovers, and what is missing of the wanted. Changes nothing."""

    def mend(self, finding: Finding) -> None:
        """Do what the remedy of one of these says. Raises NotFound, Conflict, OSError."""

    def sweep(self, wanted: Collection[str]) -> list[str]:
        """Remove leftovers of crashes and every snapshot not in `wanted` (nor a parent of one); say which."""
