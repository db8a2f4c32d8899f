"""`/volumes`: listing, looking, making, removing."""

from contextlib import suppress

from wherry.engine.engine import Engine
from wherry.engine.request.filters import Filters
from wherry.engine.telling import tell_volume
from wherry.model.container import Container
from wherry.model.errors import NotFound
from wherry.model.volume import Volume
from wherry.volumes.volumes import Doomed

ACCEPTED = ("dangling", "driver", "label", "name")


def list_volumes(engine: Engine, filters: dict[str, list[str]]) -> list[Volume]:
    """The volumes that match, by name. Raises InvalidParameter for filters that do not exist."""
    wanted = Filters(filters, ACCEPTED)
    used = volumes_in_use(engine)
    dangling = wanted.truth("dangling")
    return [
        volume
        for volume in engine.volumes.list()
        if wanted.matches("name", volume.name)
        and wanted.has("driver", volume.driver)
        and wanted.labels(volume.labels or {})
        and (dangling is None or dangling is (volume.name not in used))
    ]


def inspect_volume(engine: Engine, name: str) -> Volume:
    """One volume. Raises NotFound."""
    return engine.volumes.inspect(name)


async def create_volume(
    engine: Engine, name: str, *, driver: str, options: dict[str, str] | None, labels: dict[str, str] | None
) -> Volume:
    """Make a volume, or give the one of that name. Raises InvalidParameter, NotFound (driver), Conflict."""
    known = {volume.name for volume in engine.volumes.list()}
    volume = await engine.volumes.create(name, driver=driver, options=options, labels=labels)
    if volume.name not in known:
        tell_volume(engine, "create", volume.name, driver=volume.driver)
    return volume


async def remove_volume(engine: Engine, name: str, *, force: bool) -> None:
    """Remove a volume that no container has. Raises NotFound, Conflict."""
    users = volumes_in_use(engine).get(name, [])
    volume = await engine.volumes.remove(name, users=users, force=force)
    if volume is not None:
        tell_volume(engine, "destroy", name, driver=volume.driver)
        engine.background(engine.volumes.purge(), name=f"purge volume {name}")


async def doom_anonymous(engine: Engine, container: Container) -> list[Doomed]:
    """Those of a container's volumes that nobody named and nobody else has: they go when its record goes."""
    doomed = []
    for name in [name for name, ids in volumes_in_use(engine).items() if ids == [container.id]]:
        with suppress(NotFound):
            if engine.volumes.inspect(name).anonymous:
                doomed.append(await engine.volumes.doom(name))
    return doomed


async def drop_volumes(engine: Engine, doomed: list[Doomed]) -> None:
    """Their records are gone; so they go."""
    for each in doomed:
        await engine.volumes.drop(each)
        tell_volume(engine, "destroy", each.volume.name, driver=each.volume.driver)
    if doomed:
        engine.background(engine.volumes.purge(), name="purge volumes")


def volumes_in_use(engine: Engine) -> dict[str, list[str]]:
    """Names of volumes, and the ids of the containers that have them."""
    users: dict[str, list[str]] = {}
    for container in engine.containers.values():
        mounts = (*container.mounts, *(container.next_mounts or ()))
        for name in {mount.name for mount in mounts if mount.kind == "volume"}:
            users.setdefault(name, []).append(container.id)
    return users
