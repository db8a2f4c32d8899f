"""A container as the ledger keeps it: what was asked for, and what became of it."""

from msgspec import Struct

from wherry.model.config import Config, HostConfig, NetworkingConfig
from wherry.model.health import Health
from wherry.model.network import Attachment
from wherry.model.state import Status
from wherry.model.volume import MountPoint


class State(Struct, frozen=True, kw_only=True):
    """What became of a container. Times in nanoseconds since the epoch, 0 for never; `health` is of the last run."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    stopped_by_user: bool = False
    health: Health | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its process exists: running or frozen."""
        return self.status in {Status.RUNNING, Status.PAUSED}


class Link(Struct, frozen=True, kw_only=True):
    """Another container and the alias it is known by here; its name is for when it is gone."""

    alias: str
    target_id: str
    target_name: str


class Container(Struct, frozen=True, kw_only=True):
    """One container. Records are replaced whole, never changed in place.

    `path` and `args` are the command after entrypoint and image were merged; `chain_id` is the image's
    topmost layer; `attachment` is there while it runs. `updating_to` is what an update is about to make of its host
    configuration: the kernel may have a part of that already.
    """

    id: str
    name: str
    created_ns: int
    image_id: str
    image_name: str
    chain_id: str
    config: Config
    host_config: HostConfig
    networking: NetworkingConfig = NetworkingConfig()
    path: str = ""
    args: tuple[str, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    links: tuple[Link, ...] = ()
    next_mounts: tuple[MountPoint, ...] | None = None
    publishing: bool = False
    state: State = State()
    attachment: Attachment | None = None
    storage_driver: str = ""
    driver: str = "native"
    platform: str = "linux"
    updating_to: HostConfig | None = None
