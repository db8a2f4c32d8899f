"""Finding what is wrong among the local volumes on disk, and mending it; what may be somebody's data is kept."""

import os
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from wherry.model.finding import Finding
from wherry.volumes.mounting import is_mounted, needs_mount, unmount_volume

VOLUME = "volume directory"
REMOVED = "removed volume"
MOUNT = "volume mount"
MISSING = "missing volume"
FORGOTTEN = "forgotten volume"

REMOVED_PREFIX = ".removed-"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
# The engine names so a volume that nobody gave a name: nothing but its container could ever ask for it.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def audit(root: Path, volumes: Mapping[str, Mapping[str, str]], held: Collection[str]) -> list[Finding]:
    """Leftovers, mounts that no container holds, and volumes without their directory. Changes nothing."""
    there = sorted(root.iterdir())
    strangers = [
        each for place in there if place.name not in volumes and _may_be_ours(place) for each in _stranger(place)
    ]
    return strangers + [each for name in sorted(volumes) for each in _known(root / name, volumes[name], name in held)]


def mend(root: Path, finding: Finding) -> None:
    """Do what the finding's remedy says, but for deleting, which `purge` does. Raises EngineError, OSError."""
    if finding.kind == MOUNT:
        unmount_volume(finding.name)
    elif finding.kind == VOLUME:
        place = root / finding.name
        if is_mounted(str(place / "_data")):
            unmount_volume(str(place / "_data"))
        place.rename(root / f"{REMOVED_PREFIX}{secrets.token_hex(8)}")


def _may_be_ours(place: Path) -> bool:
    """A file system of its own has a `lost+found`, which is no name of a volume."""
    return place.name.startswith(REMOVED_PREFIX) or bool(_NAME.fullmatch(place.name))


def _stranger(place: Path) -> Iterator[Finding]:
    if place.name.startswith(REMOVED_PREFIX):
        yield Finding(kind=REMOVED, name=place.name, problem="it was not deleted", remedy="delete it")
    elif not place.is_dir() or _ANONYMOUS.fullmatch(place.name) or not _holds_data(place):
        yield Finding(kind=VOLUME, name=place.name, problem="no record knows it", remedy="remove it")
    else:
        problem = "no record knows it, and it holds data"
        yield Finding(kind=FORGOTTEN, name=place.name, problem=problem, remedy="record it again")


def _known(place: Path, options: Mapping[str, str], is_held: bool) -> Iterator[Finding]:
    data = place / "_data"
    if not data.is_dir():
        problem = f"its directory {data} is gone: restore it, or remove the volume"
        yield Finding(kind=MISSING, name=place.name, problem=problem)
    elif needs_mount(options) and not is_held and is_mounted(str(data)):
        yield Finding(kind=MOUNT, name=str(data), problem="no container that runs has the volume", remedy="unmount it")


def _holds_data(place: Path) -> bool:
    data = place / "_data"
    return any(name != "_data" for name in os.listdir(place)) or (data.is_dir() and any(data.iterdir()))
