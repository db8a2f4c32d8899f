"""Removing a container that does not run: everything of it, in an order that a crash cannot spoil."""

import asyncio
import logging
from contextlib import suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.clearing import clear_away_soon
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.engine.volumes import remove_anonymous
from wherry.images.garbage import prune_layers
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.state import Happening, Status, after

log = logging.getLogger(__name__)


async def discard(engine: Engine, container_id: str, *, volumes: bool) -> None:
    """Remove a container that has ended. Raises Conflict when it runs or somebody else removes it.

    Its record goes in one commit, and then it is gone: what a crash leaves of its files, start-up sweeps. Only where
    it has volumes that go with it the record says `removing` before, so that start-up goes on with these.
    """
    live = engine.live_of(container_id)
    async with live.lock:
        container = engine.containers.get(container_id)
        if container is None or container.state.status is Status.REMOVING:
            raise Conflict(f"removal of container {container_id} is already in progress")
        await _mark(engine, container, durably=volumes and any(mount.kind == "volume" for mount in container.mounts))
        crash_point("remove.begun")
        try:
            await engine.containers.remove(container_id)
        except Exception:
            live.doomed = False
            engine.containers.hold(container_id, container)
            raise
        crash_point("remove.recorded")
        await finish(engine, container, volumes=volumes)
    if engine.library.images.get(container.image_id) is None:
        # The image was removed by force while the container stood on its layers.
        await prune_layers(engine.library)
        crash_point("remove.layers-pruned")
    live.removed = True
    engine.live.pop(container_id, None)
    tell(engine, container, "destroy")
    async with live.changed:
        live.changed.notify_all()


async def finish(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Remove all that a container had whose record is gone or goes. Safe to repeat."""
    for exec_id in [one.record.id for one in engine.execs.values() if one.record.container_id == container.id]:
        del engine.execs[exec_id]
    try:
        await asyncio.to_thread(_take_out_of_sight, engine, container)
        if volumes:
            await remove_anonymous(engine, {mount.name for mount in container.mounts if mount.kind == "volume"})
    except (EngineError, OSError):
        log.exception("container %s is removed, but not all that it had", container.id)
    clear_away_soon(engine, container, engine.live_of(container.id))


def _take_out_of_sight(engine: Engine, container: Container) -> None:
    """Its layers can be removed as soon as it is gone."""
    with suppress(NotFound):
        engine.storage.remove(container.id)
    crash_point("remove.snapshot-removed")


async def _mark(engine: Engine, container: Container, *, durably: bool) -> None:
    status = after(container.state.status, Happening.REMOVE)
    removing = replace(container, state=replace(container.state, status=status))
    if durably:
        await engine.change(container.id, lambda _: removing)
    else:
        engine.containers.hold(container.id, removing)
