"""Removing what nobody uses: containers, images, volumes; of networks there are none of the user's own."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from wherry.crashpoints import crash_point
from wherry.engine.discard import discard
from wherry.engine.engine import Engine
from wherry.engine.images import image_users
from wherry.engine.request.filters import Filters
from wherry.engine.request.until import until_ns
from wherry.engine.sizes import sizes_of
from wherry.engine.telling import tell_prune
from wherry.engine.volumes import remove_volume, volumes_in_use
from wherry.images.list import Filters as ImageFilters
from wherry.images.prune import prune as prune_library
from wherry.images.remove import Removed
from wherry.model.clock import NANOSECONDS
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, InvalidParameter, NotFound
from wherry.model.state import Status

SaidFilters = dict[str, list[str]]

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Ids or names of what went, and how many bytes that gave."""

    removed: list[str]
    bytes: int


async def prune_containers(engine: Engine, filters: SaidFilters) -> Pruned:
    """Remove what does not run. Raises InvalidParameter; Conflict while another is at it."""
    wanted = Filters(filters, ("label", "label!", "until"))
    limit = until_ns(filters)
    removed, freed = [], 0
    async with _alone(engine, "container"):
        for container in sorted(engine.containers.values(), key=lambda one: -one.created_ns):
            if not _is_prunable(container, wanted, limit):
                continue
            size = (await sizes_of(engine, container)).own
            if await _remove(engine, container):
                removed.append(container.id)
                freed += size
            crash_point("prune.container-removed")
    tell_prune(engine, "container", freed)
    return Pruned(removed=removed, bytes=freed)


async def prune_images(engine: Engine, filters: SaidFilters) -> tuple[list[Removed], int]:
    """Remove unused images, those without a name only unless `dangling=false`. Raises InvalidParameter, Conflict."""
    wanted = Filters(filters, ("dangling", "label", "label!", "until"))
    dangling = wanted.truth("dangling")
    try:
        limit = until_ns(filters)
    except InvalidParameter as error:
        raise EngineError(str(error)) from None  # 500, as with dockerd
    chosen = ImageFilters(
        labels=tuple(wanted.values("label")),
        labels_not=tuple(wanted.values("label!")),
        until_seconds=None if limit is None else limit // NANOSECONDS,
    )
    async with _alone(engine, "image"):
        users = image_users(engine)
        removed, freed = await prune_library(engine.library, users=users, filters=chosen, named_too=dangling is False)
    tell_prune(engine, "image", freed)
    return removed, freed


async def prune_volumes(engine: Engine, filters: SaidFilters, *, named_too: bool = False) -> Pruned:
    """Remove volumes that no container has, those that somebody named only with `all`. Raises InvalidParameter."""
    wanted = Filters(filters, ("all", "label", "label!"))
    everything = named_too or _is_true(wanted)
    removed, freed = [], 0
    async with _alone(engine, "volume"):
        used = volumes_in_use(engine)
        for volume in engine.volumes.list():
            is_chosen = everything or volume.anonymous
            if volume.name in used or not is_chosen or not _labels_fit(wanted, volume.labels or {}):
                continue
            size = await engine.volumes.usage(volume.name)
            with suppress(Conflict, NotFound):
                await remove_volume(engine, volume.name, force=False)
                removed.append(volume.name)
                freed += max(size, 0)
    tell_prune(engine, "volume", freed)
    return Pruned(removed=removed, bytes=freed)


def prune_networks(engine: Engine, filters: SaidFilters) -> None:
    """There are none but Docker's own, which stay. Raises InvalidParameter."""
    Filters(filters, ("label", "label!", "until"))
    until_ns(filters)
    tell_prune(engine, "network", 0)


@asynccontextmanager
async def _alone(engine: Engine, kind: str) -> AsyncIterator[None]:
    if kind in engine.pruning:
        raise Conflict("a prune operation is already running")
    engine.pruning.add(kind)
    try:
        yield
    finally:
        engine.pruning.discard(kind)


def _is_prunable(container: Container, wanted: Filters, limit: int | None) -> bool:
    return (
        not container.state.is_alive
        and container.state.status not in {Status.RESTARTING, Status.REMOVING}
        and (limit is None or container.created_ns <= limit)
        and _labels_fit(wanted, container.config.labels or {})
    )


def _labels_fit(wanted: Filters, labels: Mapping[str, str]) -> bool:
    return wanted.labels(labels) and not ("label!" in wanted and wanted.labels(labels, "label!"))


async def _remove(engine: Engine, container: Container) -> bool:
    try:
        await discard(engine, container.id, volumes=False)
    except (EngineError, OSError) as error:
        log.warning("container %s was not pruned: %s", container.id, error)
        return False
    return True


def _is_true(wanted: Filters) -> bool:
    for value in wanted.values("all"):
        if value not in _TRUE | _FALSE:
            raise InvalidParameter(f"invalid filter 'all': strconv.ParseBool: parsing \"{value}\": invalid syntax")
    return any(value in _TRUE for value in wanted.values("all"))
