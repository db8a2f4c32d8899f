"""Removing a container that does not run: everything of it, in an order that a crash cannot spoil."""

import asyncio
import logging
from contextlib import suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.clearing import clear_away_soon
from wherry.engine.engine import Engine, Live
from wherry.engine.snapshots import snapshots_of
from wherry.engine.telling import tell
from wherry.engine.volumes import doom_anonymous, drop_volumes
from wherry.images.garbage import prune_layers
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.state import Happening, Status, after

log = logging.getLogger(__name__)


async def discard(engine: Engine, container_id: str, *, volumes: bool) -> None:
    """Remove a container that has ended. Raises Conflict when it runs or somebody else removes it.

    Its record goes in one commit, with those of its volumes if these go too, and then it is gone: what a crash leaves
    of its files, start-up sweeps.
    """
    live = engine.live_of(container_id)
    live.leaving = True
    live.send_visits_away()
    try:
        await _discard(engine, container_id, live, volumes=volumes)
    finally:
        live.leaving = False


async def _discard(engine: Engine, container_id: str, live: Live, *, volumes: bool) -> None:
    async with live.lock:
        await live.unvisited()
        container = engine.containers.get(container_id)
        if container is None or container.state.status is Status.REMOVING:
            raise Conflict(f"removal of container {container_id} is already in progress")
        _mark(engine, container)
        crash_point("remove.begun")
        try:
            await erase(engine, container, volumes=volumes)
        except Exception:
            # Whatever stopped it: the container is there as before, so that it can be removed again.
            live.doomed = False
            engine.containers.hold(container_id, container)
            raise
    if engine.library.images.get(container.image_id) is None:
        # The image was removed by force while the container stood on its layers.
        await prune_layers(engine.library)
        crash_point("remove.layers-pruned")
    live.removed = True
    engine.live.pop(container_id, None)
    tell(engine, container, "destroy")
    async with live.changed:
        live.changed.notify_all()


async def erase(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Remove a container's record, then all that it had. Raises EngineError, OSError when the record stays."""
    doomed = await doom_anonymous(engine, container) if volumes else []
    crash_point("remove.volumes-doomed")
    records = [each.record for each in doomed]
    await engine.containers.commit(engine.containers.stage_removal(container.id), *records)
    crash_point("remove.recorded")
    for exec_id in [one.record.id for one in engine.execs.values() if one.record.container_id == container.id]:
        del engine.execs[exec_id]
    try:
        await asyncio.to_thread(_take_out_of_sight, engine, container)
        await drop_volumes(engine, doomed)
    except (EngineError, OSError):
        log.exception("container %s is removed, but not all that it had", container.id)
    clear_away_soon(engine, container, engine.live_of(container.id))


def _take_out_of_sight(engine: Engine, container: Container) -> None:
    """Its layers can be removed as soon as it is gone."""
    for key in snapshots_of(container):
        with suppress(NotFound):
            engine.storage.remove(key)
    crash_point("remove.snapshot-removed")


def _mark(engine: Engine, container: Container) -> None:
    status = after(container.state.status, Happening.REMOVE)
    engine.containers.hold(container.id, replace(container, state=replace(container.state, status=status)))
