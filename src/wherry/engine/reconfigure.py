"""`wherry update --publish --env --mount`: ports of a container that is there at once, the rest at its next start."""

from contextlib import AsyncExitStack, suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import Process, ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.mounting import check_sources
from wherry.engine.request.ports import port_requests
from wherry.engine.request.reconfigure import new_mounts, ports_to_withdraw, reconfigured, with_mounts
from wherry.engine.telling import tell
from wherry.engine.volume_mounts import provide_volumes, volume_names
from wherry.model.config import Config, HostConfig, Reconfiguration
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.network import Attachment, PublishedPort
from wherry.model.state import Status
from wherry.networks.driver import JoinRequest
from wherry.records.shelf import Staged


async def reconfigure(engine: Engine, name: str, wish: Reconfiguration) -> None:
    """Change a container, all of it or nothing; durable on return.

    Raises InvalidParameter, NotFound, Conflict, and EngineError for a port that is taken.
    """
    container = find(engine, name)
    live = engine.live_of(container.id)
    async with live.lock, AsyncExitStack() as undo:
        container = find(engine, container.id)
        if container.state.status in {Status.REMOVING, Status.DEAD}:
            raise Conflict('container is marked for removal and cannot be "update"')
        reconfigured(container, wish)
        provided, records = await _provide(engine, container, wish, undo)
        attachment = await _publish(engine, container, live.process, wish, undo)
        gone = ports_to_withdraw(attachment.ports if attachment else (), wish, before=container.attachment)
        # Others may have changed it meanwhile, its health for example.
        after = _after(find(engine, container.id), wish, provided, _without(attachment, gone))
        after = replace(after, publishing=bool(gone))
        await engine.containers.commit(engine.containers.stage(container.id, after), *records)
        undo.pop_all()
        crash_point("reconfigure.recorded")
        if records:
            await engine.volumes.confirm(volume_names(provided))
        if gone and attachment is not None:
            await engine.networks.unpublish(attachment, gone)
            crash_point("reconfigure.withdrawn")
            await settle_ports(engine, after, live.process)
    tell(engine, after, "update")


async def settle_ports(engine: Engine, container: Container, process: Process | None) -> None:
    """What is held for a container whose ports were being changed is what its record says; also after a crash."""
    if not container.publishing:
        return
    if process is not None:
        with suppress(ProcessGone):  # its end gives back everything
            await process.hold((), ports=container.attachment.ports if container.attachment else ())
    await engine.change(container.id, lambda now: replace(now, publishing=False))


async def _provide(
    engine: Engine, container: Container, wish: Reconfiguration, undo: AsyncExitStack
) -> tuple[Container, list[Staged]]:
    """Make the volumes that new mounts need; a container with these mounts only, and records to be committed."""
    points = new_mounts(container, wish)
    check_sources(points)
    # A running container's own file system is not read over its head.
    points = tuple(replace(point, no_copy=point.no_copy or container.state.is_alive) for point in points)
    return await provide_volumes(engine, replace(container, mounts=points), undo)


def _after(now: Container, wish: Reconfiguration, provided: Container, attachment: Attachment | None) -> Container:
    after = replace(with_mounts(reconfigured(now, wish), wish, provided.mounts), attachment=attachment)
    if now.state.is_alive or after.next_mounts is None:
        return after
    return replace(after, mounts=after.next_mounts, next_mounts=None)


async def _publish(
    engine: Engine, container: Container, process: Process | None, wish: Reconfiguration, undo: AsyncExitStack
) -> Attachment | None:
    """Publish what is new, if it runs on a network with addresses; what it is attached to then."""
    before = container.attachment
    if not wish.publish or before is None or process is None or not any(one.ip_address for one in before.endpoints):
        return before
    await engine.change(container.id, lambda now: replace(now, publishing=True))
    undo.push_async_callback(engine.change, container.id, lambda now: replace(now, publishing=False))
    crash_point("reconfigure.begun")
    request = JoinRequest(
        container_id=container.id,
        name=container.name,
        hostname=container.config.hostname,
        endpoints={},
        ports=port_requests(Config(), HostConfig(port_bindings=wish.publish)),
    )
    published = await engine.networks.publish(before, request)
    undo.push_async_callback(engine.networks.unpublish, published.attachment, published.ports)
    crash_point("reconfigure.published")
    try:
        await process.hold(published.reservations, ports=published.attachment.ports)
    except ProcessGone:
        return published.attachment  # its end gives back everything
    undo.push_async_callback(process.hold, (), ports=before.ports)
    crash_point("reconfigure.held")
    return published.attachment


def _without(attachment: Attachment | None, gone: list[PublishedPort]) -> Attachment | None:
    return attachment and replace(attachment, ports=tuple(port for port in attachment.ports if port not in gone))
