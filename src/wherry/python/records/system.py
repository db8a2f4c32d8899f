"""What an engine says about itself, its networks, its volumes and what happens."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from wherry.python.records.record import RAW, Record, Whole


class VersionInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """Versions of an engine."""

    version: str = ""
    api_version: str = ""
    api_version_min: str = field(name="MinAPIVersion", default="")
    os: str = ""
    architecture: str = field(name="Arch", default="")
    kernel_version: str = ""


class SystemInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """An engine's state and abilities; memory in bytes."""

    id: str = field(name="ID", default="")
    name: str = ""
    server_version: str = ""
    containers: int = 0
    containers_running: int = 0
    containers_paused: int = 0
    containers_stopped: int = 0
    images: int = 0
    driver: str = ""
    logging_driver: str = ""
    cgroup_version: str = ""
    root_directory: str = field(name="DockerRootDir", default="")
    operating_system: str = ""
    architecture: str = ""
    cpus: int = field(name="NCPU", default=0)
    memory_total: int = field(name="MemTotal", default=0)
    labels: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class DiskUsage(Whole, frozen=True, kw_only=True, rename="pascal"):
    """What takes how much; `layers_size` in bytes, the rest as the API has it."""

    layers_size: int = 0
    images: tuple[dict[str, Any], ...] = ()
    containers: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    build_cache: tuple[dict[str, Any], ...] = ()


class Actor(Record, frozen=True, kw_only=True, rename="pascal"):
    """What an event happened to."""

    id: str = field(name="ID", default="")
    attributes: dict[str, str] = {}


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened; `type` is container, image, volume, network, daemon …, `action` such as start."""

    type: str = field(name="Type", default="")
    action: str = field(name="Action", default="")
    actor: Actor = field(name="Actor", default=Actor())
    scope: str = ""
    time_ns: int = field(name="timeNano", default=0)
    raw: dict[str, Any] = field(name=RAW, default_factory=dict)

    @property
    def time(self) -> datetime:
        """When, cut to the microsecond."""
        seconds, rest = divmod(self.time_ns, 1_000_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class VolumeInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """A volume; `mountpoint` is a path on the engine's host."""

    name: str
    driver: str = ""
    mountpoint: str = ""
    created_at: datetime | None = None
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    scope: str = ""


class NetworkInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """A network; `containers` are by id."""

    id: str
    name: str = ""
    created: datetime | None = None
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    containers: dict[str, dict[str, Any]] = {}


class Pruned(Struct, frozen=True, kw_only=True):
    """What a prune took away: ids or names, and how many bytes that gave back."""

    removed: tuple[str, ...] = ()
    space_reclaimed: int = 0
