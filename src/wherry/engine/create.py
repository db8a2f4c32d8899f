"""`POST /containers/create`: from a request to a record, a snapshot and volumes; nothing runs yet."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.abilities import abilities
from wherry.engine.daemon_defaults import defaults_of
from wherry.engine.defaults.capabilities import lacking
from wherry.engine.discard import discard
from wherry.engine.engine import Engine
from wherry.engine.healing import restarts_max
from wherry.engine.images import find_image
from wherry.engine.joining import owners_by_id
from wherry.engine.links import resolve_links, warnings_of_links
from wherry.engine.log_plan import check_log_config
from wherry.engine.names import reserve
from wherry.engine.request.check import check, check_endpoints
from wherry.engine.request.mac import settle
from wherry.engine.request.merge import command_line, merge
from wherry.engine.request.mounts import requested_mounts
from wherry.engine.request.normal import normal_config, normal_host_config
from wherry.engine.request.refuse import refuse_unserved
from wherry.engine.request.resources import adapt
from wherry.engine.request.warn import warnings_of
from wherry.engine.runtimes import open_driver
from wherry.engine.sessions import check_session
from wherry.engine.snapshots import prepare_own, snapshots_of, with_views
from wherry.engine.telling import tell
from wherry.engine.verify import verify
from wherry.engine.volume_mounts import provide_volumes, volume_names, volumes_from
from wherry.model.clock import now_ns
from wherry.model.config import Config, CreateRequest, HostConfig, NetworkingConfig
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter, NotFound, Unsupported
from wherry.model.ids import new_id
from wherry.model.image import Image
from wherry.records.shelf import Staged

DIRECTORY_MODE = 0o710


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The new container's id, and what its maker should know."""

    id: str
    warnings: tuple[str, ...] = ()


async def create(engine: Engine, request: CreateRequest, *, name: str = "", platform: str = "") -> Created:
    """Make a container: durable on return, nothing left behind on an error.

    Raises InvalidParameter, NotFound (image), Conflict (name), Unsupported (names the option).
    """
    container_id = new_id()
    request, warnings = _check(engine, request)
    driver = await open_driver(engine, (request.host_config or HostConfig()).runtime)
    image = find_image(engine, request.image, platform=platform)
    container = replace(_record(engine, container_id, request, image), driver=driver)
    container = replace(container, links=resolve_links(engine, container.host_config))
    check_session(engine, container.config.labels)
    restarts_max(container.config.labels)
    verify(container)
    async with AsyncExitStack() as undo:
        with reserve(engine, name, container_id=container_id) as reserved, _making(engine, container_id):
            container, volumes = await _provide(engine, replace(container, name=reserved), undo)
            crash_point("create.provided")
            await engine.containers.commit(engine.containers.stage(container_id, container), *volumes)
        undo.pop_all()
    crash_point("create.recorded")
    if volumes:
        await engine.volumes.confirm(volume_names(container))
    tell(engine, container, "create")
    await _refuse_ended_session(engine, container)
    more = warnings_of(container, lacking=lacking())
    return Created(id=container_id, warnings=(*warnings, *more, *warnings_of_links(engine, container)))


async def _refuse_ended_session(engine: Engine, container: Container) -> None:
    """A session that ended meanwhile may have looked for its containers too early. Raises InvalidParameter."""
    try:
        check_session(engine, container.config.labels)
    except InvalidParameter:
        with suppress(Conflict):  # it was found, and is being removed
            await discard(engine, container.id, volumes=True)
        raise


@contextmanager
def _making(engine: Engine, container_id: str) -> Iterator[None]:
    """Let everybody know that what lies on disk under this id is about to be recorded."""
    engine.in_making.add(container_id)
    try:
        yield
    finally:
        engine.in_making.discard(container_id)


def _check(engine: Engine, request: CreateRequest) -> tuple[CreateRequest, tuple[str, ...]]:
    """Everything that can be wrong with the request itself, whatever the image is; what of it this kernel can do."""
    host_config = request.host_config or HostConfig()
    networking = request.networking_config or NetworkingConfig()
    refuse_unserved(host_config, networking)
    check_log_config(engine, host_config.log_config)
    check(request, host_config)
    host_config, warnings = adapt(host_config, abilities())
    check_endpoints(host_config, networking, lambda name: _subnets_of(engine, name))
    request, more = settle(request)
    host_config = owners_by_id(engine, host_config)
    if not request.image:
        if command_line(request):
            raise Unsupported("containers without an image are not supported yet")
        raise InvalidParameter("no command specified")
    return replace(request, host_config=host_config), (*warnings, *more)


def _subnets_of(engine: Engine, network: str) -> list[IPv4Network | IPv6Network]:
    return [ip_network(pool.subnet) for pool in engine.networks.find(network).pools]


def _record(engine: Engine, container_id: str, request: CreateRequest, image: Image) -> Container:
    """The record without a name."""
    config = merge(_config_of(request), image.config)
    host_config = normal_host_config(request.host_config or HostConfig(), defaults_of(engine))
    config = normal_config(config, host_config, container_id, host_name=socket.gethostname())
    path, *args = command_line(config)
    return Container(
        id=container_id,
        name="",
        created_ns=now_ns(),
        image_id=image.id,
        image_name=request.image,
        chain_id=image.chain_id,
        config=config,
        host_config=host_config,
        networking=request.networking_config or NetworkingConfig(),
        path=path,
        args=tuple(args),
        mounts=requested_mounts(config, host_config),
        storage_driver=engine.storage.name,
    )


def _config_of(request: CreateRequest) -> Config:
    return Config(**{name: getattr(request, name) for name in Config.__struct_fields__})


async def _provide(engine: Engine, container: Container, undo: AsyncExitStack) -> tuple[Container, list[Staged]]:
    """Make what lies on disk: directory, snapshot, volumes with their records; each with its undoing."""
    directory = engine.directory(container.id)
    undo.callback(shutil.rmtree, directory, ignore_errors=True)
    container, views = with_views(engine, container)
    undo.callback(_remove_snapshots, engine, container)
    await asyncio.to_thread(_make_directories, engine, container, directory, views)
    crash_point("create.snapshot-prepared")
    container = replace(container, mounts=(*container.mounts, *volumes_from(engine, container)))
    return await provide_volumes(engine, container, undo)


def _remove_snapshots(engine: Engine, container: Container) -> None:
    for key in snapshots_of(container):
        with suppress(NotFound):
            engine.storage.remove(key)


def _make_directories(engine: Engine, container: Container, directory: Path, views: dict[str, str | None]) -> None:
    """Its own one, its snapshot on the image's init layer, and its views of images. Raises EngineError, OSError."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True)
    crash_point("create.directory-made")
    prepare_own(engine, container)
    for key, parent in views.items():
        engine.storage.prepare(key, parent)
