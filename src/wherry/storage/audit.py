"""Finding what is wrong among the snapshots on disk, and mending it; shared by the drivers."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from wherry.model.errors import NotFound
from wherry.model.finding import Finding
from wherry.storage.family import INIT_SUFFIX, Family

UNWANTED = "snapshot"
STRANGER = "snapshot directory"
DISCARDED = "discarded snapshot"
MISSING = "missing snapshot"
WORK = "work directory"


def audit(family: Family, wanted: Collection[str], *, with_work: bool) -> list[Finding]:
    """Leftovers, and what is missing of the wanted. `with_work`: active snapshots have a work directory."""
    nobody = "no container and no image needs it"
    found = [Finding(kind=UNWANTED, name=key, problem=nobody, remedy="remove it") for key in family.unwanted(wanted)]
    found += [
        Finding(kind=STRANGER, name=str(place), problem="it is no snapshot", remedy="remove it")
        for place in family.strangers()
    ]
    found += [
        Finding(kind=DISCARDED, name=str(place), problem="it was not deleted", remedy="delete it")
        for place in family.discarded()
    ]
    return found + [each for key in sorted(wanted) for each in _missing(family, key, with_work=with_work)]


def mend(family: Family, finding: Finding) -> None:
    """Do what the finding's remedy says. Raises NotFound, Conflict, OSError."""
    if finding.kind == UNWANTED:
        with suppress(NotFound):
            family.remove(finding.name)
    elif finding.kind == STRANGER:
        family.throw_away(Path(finding.name))
    elif finding.kind == WORK:
        Path(finding.name).mkdir(0o700)
        family.quotas.renew(Path(finding.name))
    family.purge()


def _missing(family: Family, key: str, *, with_work: bool) -> list[Finding]:
    if not family.exists(key):
        # An init layer is made when the first container needs it.
        return [] if key.endswith(INIT_SUFFIX) else [_lost(key, "it is not on the disk")]
    place = family.place(key)
    if not (place / "fs").is_dir():
        return [_lost(key, f"{place / 'fs'} is gone")]
    parent = family.parent(key)
    if parent is not None and not family.exists(parent):
        return [_lost(key, f"what it stands on, {parent}, is gone")]
    work = place / "work"
    if with_work and not family.is_committed(key) and not work.is_dir():
        return [Finding(kind=WORK, name=str(work), problem="it is gone", remedy="make it again")]
    return []


def _lost(key: str, problem: str) -> Finding:
    return Finding(kind=MISSING, name=key, problem=f"{problem}: remove what needs it, and pull or create it again")
