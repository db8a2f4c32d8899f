"""The one place that names concrete drivers: settings go in, an Engine with all its rooms comes out."""

import asyncio
import ipaddress
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from wherry.bootstrap.plugins import EXEC_GROUP, STORAGE_GROUP, VOLUME_GROUP, Drivers, load
from wherry.drivers.absent import Absent
from wherry.drivers.driver import ExecDriver
from wherry.drivers.native import NativeDriver
from wherry.engine.engine import Engine
from wherry.engine.life import close_engine, open_engine
from wherry.engine.settings import BridgeSettings, Settings
from wherry.events.bus import HISTORY_MAX, Bus
from wherry.events.journal import Journal
from wherry.images.content import Content
from wherry.images.library import Library, Limits
from wherry.logs.driver import LogDriver
from wherry.logs.fluentd import FluentdDriver
from wherry.logs.gelf import GelfDriver
from wherry.logs.journald import JournaldDriver
from wherry.logs.kept import JsonFileDriver, LocalDriver, NoneDriver
from wherry.logs.syslog import SyslogDriver
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.model.image import Image, Tag
from wherry.model.network import Network
from wherry.model.session import SessionRecord
from wherry.model.volume import Volume
from wherry.networks.local import LocalNetworks
from wherry.networks.options import DEFAULT_BRIDGE, DEFAULT_POOLS, AddressPool, NetworkOptions
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.registry.client import Registries
from wherry.registry.hosts import RegistryOptions
from wherry.storage.driver import StorageDriver
from wherry.storage.overlay import Overlay
from wherry.storage.vfs import Vfs
from wherry.storage.workforce import WORKFORCE
from wherry.volumes.driver import VolumeDriver
from wherry.volumes.local import Local
from wherry.volumes.volumes import Volumes

# As dockerd's, so that no other user of the host can reach a setuid program of an image (CVE-2021-41091).
DATA_ROOT_MODE = 0o710
EXEC_ROOT_MODE = 0o700
STORAGE_DRIVERS: dict[str, type[Overlay | Vfs]] = {"overlay": Overlay, "overlay2": Overlay, "vfs": Vfs}
LOG_DRIVERS: tuple[LogDriver, ...] = (
    JsonFileDriver(), LocalDriver(), NoneDriver(), SyslogDriver(), JournaldDriver(), FluentdDriver(), GelfDriver(),
)  # fmt: skip
_LOG_DRIVERS = {driver.name: driver for driver in LOG_DRIVERS}
DEFAULT_STORAGE_DRIVER = "overlay"
DEFAULT_VOLUME_DRIVER = "local"

log = logging.getLogger(__name__)


@asynccontextmanager
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    """An engine that is open: reconciled with what runs. On leaving it lets go; containers run on.

    Raises EngineError, OSError, and UnknownFormat for state of a newer version.
    """
    _check_log_options(settings)
    _provide_directory(settings.data_root, DATA_ROOT_MODE)
    _provide_directory(settings.exec_root, EXEC_ROOT_MODE)
    _provide_directory(settings.data_root / "containers", DATA_ROOT_MODE)
    ledger = Ledger(settings.data_root / "wherry.db")
    journal = Journal(settings.data_root / "events.jsonl", events_max=HISTORY_MAX)
    try:
        WORKFORCE.warm_up()
        async with asyncio.TaskGroup() as tasks:
            house = _furnish(settings, ledger, Bus(journal), tasks)
            await open_engine(house)
            try:
                yield house
            finally:
                await close_engine(house)
                await house.library.close()
    finally:
        journal.close()
        ledger.close()
        await asyncio.to_thread(WORKFORCE.close)


def _furnish(settings: Settings, ledger: Ledger, bus: Bus, tasks: asyncio.TaskGroup) -> Engine:
    storage = _storage(settings)
    containers = Shelf(ledger, "containers", Container)
    return Engine(
        settings=settings,
        ledger=ledger,
        containers=containers,
        sessions=Shelf(ledger, "sessions", SessionRecord),
        storage=storage,
        volumes=_volumes(settings, Shelf(ledger, "volumes", Volume)),
        networks=LocalNetworks(network_options(settings), Shelf(ledger, "networks", Network), settings.exec_root),
        drivers=_exec_drivers(settings, containers),
        load_driver=partial(load, EXEC_GROUP, root=settings.exec_root / "drivers"),
        log_drivers=dict(_LOG_DRIVERS),
        load_log_driver=_load_log_driver,
        library=_library(settings, ledger, storage, bus),
        bus=bus,
        tasks=tasks,
    )


def _load_log_driver(name: str) -> LogDriver | None:
    """One of another package, by its entry point."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - it takes a while, and is hardly ever wanted

    for point in entry_points(group="wherry.log_drivers", name=name):
        driver: LogDriver = point.load()()
        return driver
    return None


def _check_log_options(settings: Settings) -> None:
    """The options that containers are to have, before any of them is made. Raises InvalidParameter."""
    name = settings.log_driver
    driver = _LOG_DRIVERS.get(name) or _load_log_driver(name)
    if driver is None:
        raise InvalidParameter(f"failed to set log opts: logger: no log driver named '{name}' is registered")
    try:
        if settings.log_options:
            driver.check(settings.log_options)
    except InvalidParameter as error:
        raise InvalidParameter(f"failed to set log opts: {error}") from None


def _storage(settings: Settings) -> StorageDriver:
    name = settings.storage_driver or DEFAULT_STORAGE_DRIVER
    snapshots = settings.data_root / "snapshots"
    kind = STORAGE_DRIVERS.get(name)
    if kind is not None:
        return kind(snapshots / kind.name)
    try:
        driver: StorageDriver = load(STORAGE_GROUP, name, snapshots)
    except KeyError:
        raise InvalidParameter(f"driver not supported: {name}") from None
    return driver


def _exec_drivers(settings: Settings, containers: Shelf[Container]) -> dict[str, ExecDriver]:
    """Our own, and those of others that made containers of the past."""
    drivers: dict[str, ExecDriver] = {
        NativeDriver.name: NativeDriver(str(settings.exec_root), nofile=settings.original_nofile)
    }
    for name in {container.driver for container in containers.values()}.difference(drivers):
        try:
            drivers[name] = load(EXEC_GROUP, name, settings.exec_root / "drivers")
        except (KeyError, InvalidParameter):
            log.warning("there are containers of the runtime %s, which is not there", name)
            drivers[name] = Absent(name)
    return drivers


def _volumes(settings: Settings, records: Shelf[Volume]) -> Volumes:
    own: dict[str, VolumeDriver] = {DEFAULT_VOLUME_DRIVER: Local(settings.data_root / "volumes")}
    drivers = Drivers(own, VOLUME_GROUP, settings.data_root / "volume-drivers")
    for name in {volume.driver for volume in records.values()}:
        try:
            drivers[name]  # what it has is looked after from the start
        except (KeyError, InvalidParameter):
            log.warning("there are volumes of the driver %s, which is not there", name)
    return Volumes(records, drivers)


def _library(settings: Settings, ledger: Ledger, storage: StorageDriver, bus: Bus) -> Library:
    registry = settings.registry
    return Library(
        content=Content(settings.data_root / "content"),
        storage=storage,
        images=Shelf(ledger, "images", Image),
        tags=Shelf(ledger, "tags", Tag),
        registries=Registries(RegistryOptions(insecure=registry.insecure, mirrors=registry.mirrors)),
        publish=bus.publish,
        limits=Limits(
            downloads_max=registry.downloads_max,
            uploads_max=registry.uploads_max,
            attempts_max=registry.attempts_max,
        ),
    )


def network_options(settings: Settings) -> NetworkOptions:
    """Dockerd's network flags as the networks room takes them."""
    bridge: BridgeSettings = settings.bridge
    pools = tuple(AddressPool(ipaddress.IPv4Network(pool.base), pool.size) for pool in settings.address_pools)
    return NetworkOptions(
        bridge=bridge.name or DEFAULT_BRIDGE,
        bip=bridge.address,
        fixed_cidr=bridge.container_range,
        address_pools=pools or DEFAULT_POOLS,
        mtu=bridge.mtu,
        host_ip=bridge.host_address,
        icc=bridge.between_containers,
        ip_forward=bridge.forward,
        ip_forward_no_drop=bridge.forward_between_others,
        ip_masquerade=bridge.masquerade,
        userland_proxy=bridge.userland_proxy,
    )


def _provide_directory(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    os.chmod(path, mode)
