"""Removing a container that does not run: everything of it, in an order that a crash cannot spoil."""

import asyncio
import shutil

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.engine.volumes import remove_anonymous
from wherry.images.garbage import prune_layers
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError
from wherry.model.state import Happening, Status, after


async def discard(engine: Engine, container_id: str, *, volumes: bool) -> None:
    """Remove a container that has ended. Raises Conflict when it runs or somebody else removes it.

    The record says `removing` before anything goes, and goes last: what a crash interrupts, start-up finishes.
    """
    live = engine.live_of(container_id)
    async with live.lock:
        container = engine.containers.get(container_id)
        if container is None or container.state.status is Status.REMOVING:
            raise Conflict(f"removal of container {container_id} is already in progress")
        container = await engine.change(container_id, lambda current: _with(current, Happening.REMOVE))
        crash_point("remove.begun")
        try:
            await finish(engine, container, volumes=volumes)
        except (EngineError, OSError):
            await engine.change(container_id, lambda current: _with(current, Happening.FAIL_REMOVAL))
            raise
    if engine.library.images.get(container.image_id) is None:
        # The image was removed by force while the container stood on its layers.
        await prune_layers(engine.library)
        crash_point("remove.layers-pruned")
    purge_soon(engine)
    live.removed = True
    engine.live.pop(container_id, None)
    tell(engine, container, "destroy")
    async with live.changed:
        live.changed.notify_all()


def purge_soon(engine: Engine) -> None:
    """Delete from the disk what was taken out of sight, after the answer; one run at a time is enough."""
    if engine.purging is None or engine.purging.done():
        engine.purging = engine.background(_purge(engine), name="purge snapshots")
    else:
        engine.purge_again = True


async def _purge(engine: Engine) -> None:
    engine.purge_again = True
    while engine.purge_again:
        engine.purge_again = False
        await asyncio.to_thread(engine.storage.purge)
        crash_point("remove.purged")


async def finish(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Remove the things of a container whose record says `removing`, then the record. Safe to repeat."""
    await engine.driver_of(container).forget(container.id)
    crash_point("remove.forgotten")
    await asyncio.to_thread(_remove_files, engine, container)
    for exec_id in [one.record.id for one in engine.execs.values() if one.record.container_id == container.id]:
        del engine.execs[exec_id]
    await engine.containers.remove(container.id)
    crash_point("remove.recorded")
    if volumes:
        await remove_anonymous(engine, {mount.name for mount in container.mounts if mount.kind == "volume"})


def _remove_files(engine: Engine, container: Container) -> None:
    if engine.storage.exists(container.id):
        engine.storage.remove(container.id)
        crash_point("remove.snapshot-removed")
    shutil.rmtree(engine.directory(container.id), ignore_errors=True)
    crash_point("remove.directory-removed")


def _with(container: Container, happening: Happening) -> Container:
    status = after(container.state.status, happening)
    return replace(container, state=replace(container.state, status=status))
