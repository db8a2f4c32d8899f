"""A layer that was captured from a container, on its way to be a committed snapshot; the same for every driver."""

from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.storage.driver import Usage
from wherry.storage.family import COMMITTED, Family, write_usage
from wherry.storage.jobs.capture import Captured, sync
from wherry.storage.rootfs import opened


class LayerCapture:
    """See driver.Capture."""

    def __init__(self, family: Family, place: Path, found: Captured) -> None:
        crash_point("storage.captured")
        self._family = family
        self._place = place
        self._is_synced = found.is_synced
        self._usage = Usage(bytes=found.bytes, inodes=found.inodes)
        self.diff_id = found.diff_id
        self.tar_bytes = found.tar_bytes

    def commit(self, chain_id: str) -> Usage:
        """See driver.Capture."""
        if not self._is_synced:
            with opened(self._place / "fs") as tree:
                sync(tree)
        write_usage(self._place, self._usage)
        self._family.publish(self._place, chain_id, COMMITTED, tree_is_synced=True)
        return self._usage
