"""Drivers that other packages bring, found by entry points and loaded when they are first named.

A package says in its pyproject.toml what it has; the object is called as the driver's class of our own would be:

    [project.entry-points."wherry.volume_drivers"]
    ramdisk = "wherry_ramdisk:Ramdisk"        # Ramdisk(root: Path), a wherry.volumes.driver.VolumeDriver
    [project.entry-points."wherry.storage_drivers"]
    zfs = "wherry_zfs:Zfs"                    # Zfs(root: Path), a wherry.storage.driver.StorageDriver
    [project.entry-points."wherry.exec_drivers"]
    vm = "wherry_vm:Machines"                 # Machines(root: Path), a wherry.drivers.driver.ExecDriver

`root` is a directory of the driver's own, which may not be there yet. Drivers of our own cannot be replaced.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from wherry.model.errors import InvalidParameter

STORAGE_GROUP = "wherry.storage_drivers"
EXEC_GROUP = "wherry.exec_drivers"
VOLUME_GROUP = "wherry.volume_drivers"

T = TypeVar("T")

log = logging.getLogger(__name__)


class Drivers(Mapping[str, T]):
    """Our own drivers, and others from the moment they are named; iterating gives those that are loaded."""

    def __init__(self, own: Mapping[str, T], group: str, root: Path) -> None:
        """Each other driver has its directory in `root`."""
        self._loaded = dict(own)
        self._group = group
        self._root = root

    def __getitem__(self, name: str) -> T:
        """Raises KeyError when no package has it, InvalidParameter when it cannot be loaded."""
        if name not in self._loaded:
            self._loaded[name] = load(self._group, name, self._root)
            log.info("Loaded the driver %s of %s", name, self._group)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._loaded))

    def __len__(self) -> int:
        return len(self._loaded)


def load(group: str, name: str, root: Path) -> Any:  # noqa: ANN401 - what a group's drivers are, its reader knows
    """The driver of this name. Raises KeyError when no package has it, InvalidParameter when it cannot be loaded."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - it takes 20 ms, and few daemons need it

    found = entry_points(group=group, name=name)
    if not found or "/" in name:
        raise KeyError(name)
    try:
        return next(iter(found)).load()(root / name)
    except Exception as error:
        log.exception("the driver %s of %s cannot be loaded", name, group)
        raise InvalidParameter(f"driver {name} cannot be loaded: {error}") from error
