"""Volumes of a container: made and filled when it is created, held while it runs."""

import asyncio
from contextlib import AsyncExitStack, suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.request.mounts import parse_volumes_from
from wherry.engine.telling import tell_volume
from wherry.engine.volumes import volumes_in_use
from wherry.model.container import Container
from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.model.volume import MountPoint, Volume
from wherry.records.shelf import Staged
from wherry.volumes.inside import copy_up


def volumes_from(engine: Engine, container: Container) -> tuple[MountPoint, ...]:
    """The binds and volumes of the containers that `--volumes-from` names, unless their places are taken.

    Raises InvalidParameter for a mode that they cannot have, and for a container that is not there.
    """
    found = {mount.destination: mount for mount in container.mounts}
    own = set(found)
    for entry in container.host_config.volumes_from or ():
        if not entry:
            raise InvalidParameter("volumes-from specification cannot be an empty string")
        name, writable = parse_volumes_from(entry)
        for mount in _owner(engine, name).mounts:
            if mount.kind in {"bind", "volume"} and mount.destination not in own:
                found[mount.destination] = replace(mount, writable=mount.writable and writable, mode="", no_copy=True)
    return tuple(mount for destination, mount in found.items() if destination not in own)


def _owner(engine: Engine, name: str) -> Container:
    try:
        return find(engine, name)
    except NotFound as error:
        raise InvalidParameter(str(error)) from None


async def provide_volumes(engine: Engine, container: Container, undo: AsyncExitStack) -> tuple[Container, list[Staged]]:
    """Make the volumes that are not there yet, and begin empty ones with the image's files.

    Their records are to be committed with the container's, and then confirmed. What was made here is removed again
    when `undo` is. Raises EngineError.
    """
    records: list[Staged] = []
    points = [await _provide(engine, point, undo, records) for point in container.mounts]
    container = replace(container, mounts=tuple(points))
    to_fill = [point for point in points if point.kind == "volume" and not (point.no_copy or point.subpath)]
    if to_fill:
        await _fill(engine, container, to_fill)
    return container, records


async def hold_volumes(engine: Engine, container: Container, undo: AsyncExitStack) -> None:
    """Have the container's volumes mounted while it runs; let go again when `undo` is. Raises NotFound, EngineError."""
    for name, point in _volumes(container).items():
        await engine.volumes.acquire(name, container.id)
        undo.push_async_callback(engine.volumes.release, name, container.id)
        crash_point("start.volume-held")
        attributes = {
            "container": container.id,
            "destination": point.destination,
            "driver": point.driver,
            "propagation": point.propagation,
            "read/write": str(point.writable).lower(),
        }
        tell_volume(engine, "mount", name, **attributes)


async def hold_again(engine: Engine, container: Container) -> None:
    """A daemon that finds the container running holds its volumes once more; one that was taken by force is fine."""
    for name in volume_names(container):
        with suppress(NotFound):
            await engine.volumes.acquire(name, container.id)


async def release_volumes(engine: Engine, container: Container) -> None:
    """The container has ended. A volume that is gone by force is fine."""
    for name, point in _volumes(container).items():
        try:
            await engine.volumes.release(name, container.id)
        except NotFound:
            continue
        crash_point("end.volume-released")
        tell_volume(engine, "unmount", name, container=container.id, driver=point.driver)


def tell_unmounted(engine: Engine, container: Container) -> None:
    """Publish that a container that did not start let go of its volumes."""
    for name, point in _volumes(container).items():
        tell_volume(engine, "unmount", name, container=container.id, driver=point.driver)


def volume_names(container: Container) -> list[str]:
    """The volumes of a container, each once."""
    return list(_volumes(container))


def _volumes(container: Container) -> dict[str, MountPoint]:
    """Each volume with the first place it is mounted on."""
    found: dict[str, MountPoint] = {}
    for point in container.mounts:
        if point.kind == "volume":
            found.setdefault(point.name, point)
    return found


async def _provide(engine: Engine, point: MountPoint, undo: AsyncExitStack, records: list[Staged]) -> MountPoint:
    if point.kind != "volume":
        return point
    known = {volume.name for volume in engine.volumes.list()}
    volume = await engine.volumes.create(
        point.name, driver=point.driver, options=point.driver_options, labels=point.labels, later=records
    )
    if volume.name not in known:
        undo.push_async_callback(_remove, engine, volume)
        crash_point("create.volume-made")
        tell_volume(engine, "create", volume.name, driver=volume.driver)
    return replace(point, name=volume.name, driver=volume.driver, source=volume.mountpoint)


async def _remove(engine: Engine, volume: Volume) -> None:
    if volume.name not in volumes_in_use(engine):
        await engine.volumes.abandon(volume)


async def _fill(engine: Engine, container: Container, points: list[MountPoint]) -> None:
    async with AsyncExitStack() as held:
        for point in points:
            await engine.volumes.acquire(point.name, container.id)
            held.push_async_callback(engine.volumes.release, point.name, container.id)
            crash_point("create.volume-held")
        await asyncio.to_thread(_copy_all, engine, container, points)
    crash_point("create.volumes-filled")


def _copy_all(engine: Engine, container: Container, points: list[MountPoint]) -> None:
    with engine.storage.open(container.id) as root:
        for point in points:
            with engine.volumes.open(point.name) as volume:
                try:
                    copy_up(root.fd, point.destination, volume)
                except OSError as error:
                    words = f"failed to copy the image's files to volume {point.name}: {error}"
                    raise EngineError(words) from error
