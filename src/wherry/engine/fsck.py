"""`GET` and `POST /system/fsck`, an extension: disk and kernel against the records, and the mending of what is wrong.

Every storeroom finds what it has too much or too little of; here they are asked one after the other. Each knows what
verbs on their way are just making, so that a daemon at work can be checked, and looks once more before it removes
anything. What belongs to somebody else is never named: only what is inside of our directories, tables and links.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from wherry.engine.engine import Engine
from wherry.engine.fsck_containers import audit_containers, mend_container
from wherry.engine.snapshots import wanted_snapshots
from wherry.engine.surroundings import CGROUP_PARENT
from wherry.images import audit
from wherry.model.errors import EngineError
from wherry.model.finding import Finding

# What verbs on their way leave untidy for a moment is tidy after this.
LASTING_SECONDS = 0.5
CLEARING_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finding, and what became of its mending: done, failed with these words, or not tried."""

    finding: Finding
    is_mended: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Room:
    audit: Callable[[], Awaitable[Sequence[Finding]]]
    mend: Callable[[Finding], Awaitable[None]]


async def check(engine: Engine, *, deep: bool = False) -> list[Finding]:
    """Everything that is wrong. Changes nothing. `deep` compares blobs with their digests, by reading all of them."""
    await _cleared_away(engine)
    return [finding for room in _rooms(engine, deep=deep) for finding in await _lasting(room)]


async def repair(engine: Engine, *, deep: bool = False) -> list[Outcome]:
    """Everything that was wrong, and what became of it. A container is mended before what it stood on."""
    await _cleared_away(engine)
    outcomes: list[Outcome] = []
    for room in _rooms(engine, deep=deep):
        outcomes += [await _mended(room, finding) for finding in await _lasting(room)]
    return outcomes


async def _cleared_away(engine: Engine) -> None:
    """Wait for what is deleted after the answer, but not for ever where containers go all the time."""
    if engine.clearing is not None:
        await asyncio.wait([engine.clearing], timeout=CLEARING_SECONDS)


async def _lasting(room: _Room) -> list[Finding]:
    """What a room finds twice: a container that just ends has lost its link before its record says so."""
    found = await room.audit()
    if not found:
        return []
    await asyncio.sleep(LASTING_SECONDS)
    still = {(finding.kind, finding.name) for finding in await room.audit()}
    return [finding for finding in found if (finding.kind, finding.name) in still]


async def _mended(room: _Room, finding: Finding) -> Outcome:
    if not finding.remedy:
        return Outcome(finding=finding)
    try:
        await room.mend(finding)
    except (EngineError, OSError) as error:
        return Outcome(finding=finding, error=str(error))
    log.info("%s %s: %s; done: %s", finding.kind, finding.name, finding.problem, finding.remedy)
    return Outcome(finding=finding, is_mended=True)


def _rooms(engine: Engine, *, deep: bool) -> list[_Room]:
    async def mend_storage(finding: Finding) -> None:
        await asyncio.to_thread(engine.storage.mend, finding)

    async def mend_networks(finding: Finding) -> None:
        engine.networks.mend(finding)

    return [
        *(_Room(partial(driver.audit, _cgroup_parents(engine)), driver.mend) for driver in engine.drivers.values()),
        _Room(partial(audit_containers, engine), partial(mend_container, engine)),
        _Room(partial(_audit_snapshots, engine), mend_storage),
        _Room(partial(audit.audit, engine.library, deep=deep), partial(audit.mend, engine.library)),
        _Room(engine.volumes.audit, engine.volumes.mend),
        _Room(partial(_audit_networks, engine), mend_networks),
    ]


def _cgroup_parents(engine: Engine) -> set[str]:
    own = {container.host_config.cgroup_parent for container in engine.containers.values()}
    return {parent for parent in (*own, engine.settings.cgroup_parent or CGROUP_PARENT) if parent}


async def _audit_snapshots(engine: Engine) -> list[Finding]:
    before = _wanted_snapshots(engine)
    found = await asyncio.to_thread(engine.storage.audit, before)
    # What was made meanwhile is no leftover, and what was removed meanwhile is not missing.
    after = _wanted_snapshots(engine)
    return [each for each in found if each.name not in before.symmetric_difference(after)]


def _wanted_snapshots(engine: Engine) -> set[str]:
    chains = {key for key in engine.library.leases.held() if engine.storage.exists(key)}
    return engine.in_making | chains | wanted_snapshots(engine)


async def _audit_networks(engine: Engine) -> list[Finding]:
    return engine.networks.audit()
