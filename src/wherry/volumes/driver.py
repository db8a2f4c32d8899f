"""The Protocol of a volume driver: directories that outlive containers.

Terms
-----
Volume
    A directory by name. A driver knows how to make it, where on the host it is seen, and how to be rid of it.
Holder
    Whoever uses a volume now, by an id such as a container's. A volume that must be mounted to be seen is mounted
    for its first holder and unmounted after the last.

An example
----------
>>> driver.create("data", {})
>>> driver.acquire("data", "container-1")
>>> with driver.open("data") as directory:          # an O_PATH descriptor
...     ...                                         # open_tree(2) it for the container
>>> driver.release("data", "container-1")
>>> driver.remove("data")

All calls block and may come from any thread. `acquire` may be repeated by one holder, so a daemon that starts again
acquires once more for every container it finds running. Names are checked by the caller with `check`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from wherry.model.finding import Finding


class VolumeDriver(Protocol):
    """Keeps volumes of one kind."""

    name: str
    scope: str

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Whether a volume can be called and made so. Raises InvalidParameter."""

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make an empty volume; durable on return, and fine when it is there already. It stays once it is confirmed."""

    def confirm(self, name: str) -> None:
        """The record of a new volume is durable. Fine for one that was confirmed before, or is gone."""

    def doom(self, name: str) -> None:
        """The record is about to be removed: from now on the volume goes should there be none after a crash.

        Raises EngineError when it is mounted for somebody.
        """

    def recover(self, known: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What a crash left is put right: once at a start, when all that run have acquired; `known` are options.

        Volumes that were on their way in or out and that no record knows are removed, mounts that nobody holds
        unmounted. Gives the names of what was removed.
        """

    def mountpoint(self, name: str) -> str:
        """Where on the host it is, or will be, seen."""

    def acquire(self, name: str, holder: str, options: Mapping[str, str]) -> None:
        """Have it usable for a holder. Raises EngineError when it cannot be mounted."""

    def release(self, name: str, holder: str, options: Mapping[str, str]) -> None:
        """A holder is done; unmounts after the last. Fine when it never acquired."""

    def open(self, name: str) -> AbstractContextManager[int]:
        """Its directory as an O_PATH descriptor. Raises NotFound when it is gone."""

    def usage(self, name: str) -> int:
        """Bytes of its files. Raises NotFound."""

    def remove(self, name: str) -> None:
        """Remove it quickly; what it held is deleted by `purge`. Fine when it is gone already."""

    def audit(self, volumes: Mapping[str, Mapping[str, str]]) -> list[Finding]:
        """What is on the disk beside the volumes that are known, by name with their options; and what of them is not.

        Changes nothing; no volume is made or removed meanwhile.
        """

    def mend(self, finding: Finding) -> None:
        """Do what the remedy of one of these says. Raises EngineError, OSError."""

    def purge(self) -> None:
        """Delete from the disk what `remove` took away."""
