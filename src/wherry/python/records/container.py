"""What an engine says about containers."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from wherry.python.records.record import Record, Whole


class Probe(Record, frozen=True, kw_only=True, rename="pascal"):
    """One run of a health check."""

    start: datetime | None = None
    end: datetime | None = None
    exit_code: int = 0
    output: str = ""


class Health(Record, frozen=True, kw_only=True, rename="pascal"):
    """`status` is none, starting, healthy or unhealthy; `log` has the last runs, oldest first."""

    status: str = "none"
    failing_streak: int = 0
    log: tuple[Probe, ...] = ()


class State(Record, frozen=True, kw_only=True, rename="pascal"):
    """`status` is created, running, paused, restarting, removing, exited or dead; `pid` is 0 when none runs."""

    status: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    health: Health | None = None


class PortBinding(Record, frozen=True, kw_only=True, rename="pascal"):
    """Where on the host a port is published."""

    host_ip: str = ""
    host_port: int = 0


class Mount(Record, frozen=True, kw_only=True, rename="pascal"):
    """One mount; `source` is a path on the host, `name` and `driver` are a volume's."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    writable: bool = field(name="RW", default=True)
    propagation: str = ""


class Endpoint(Record, frozen=True, kw_only=True, rename="pascal"):
    """A container on a network; addresses are "" while it does not run."""

    network_id: str = field(name="NetworkID", default="")
    endpoint_id: str = field(name="EndpointID", default="")
    gateway: str = ""
    ip_address: str = field(name="IPAddress", default="")
    ip_prefix_length: int = field(name="IPPrefixLen", default=0)
    ipv6_address: str = field(name="GlobalIPv6Address", default="")
    mac_address: str = ""
    aliases: tuple[str, ...] = ()


class NetworkSettings(Record, frozen=True, kw_only=True, rename="pascal"):
    """`ports` maps published ports such as `80/tcp` to the host's; `networks` maps names to endpoints."""

    ports: dict[str, tuple[PortBinding, ...]] = {}
    networks: dict[str, Endpoint] = {}


class ContainerConfig(Record, frozen=True, kw_only=True, rename="pascal"):
    """What it was made from: what was said at its creation over what its image says."""

    image: str = ""
    command: tuple[str, ...] = field(name="Cmd", default=())
    entrypoint: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    exposed_ports: dict[str, Any] = {}
    stop_signal: str = ""


class ContainerInfo(Whole, frozen=True, kw_only=True, rename="pascal"):
    """All about one container. `image` is the image's id, `config.image` what it was called at the creation.

    Sizes in bytes, None when they were not asked for.
    """

    id: str
    slashed_name: str = field(name="Name", default="")
    created: datetime | None = None
    path: str = ""
    args: tuple[str, ...] = ()
    state: State = State()
    image: str = ""
    config: ContainerConfig = ContainerConfig()
    network_settings: NetworkSettings = NetworkSettings()
    mounts: tuple[Mount, ...] = ()
    restart_count: int = 0
    platform: str = ""
    driver: str = ""
    size_rw: int | None = None
    size_root_fs: int | None = None

    @property
    def name(self) -> str:
        """Its name, without the slash that the API puts before it."""
        return self.slashed_name.removeprefix("/")

    @property
    def ip_address(self) -> str:
        """Its address on the first network on which it has one, "" when it has none."""
        addresses = (endpoint.ip_address for endpoint in self.network_settings.networks.values())
        return next(filter(None, addresses), "")


class SummaryPort(Record, frozen=True, kw_only=True, rename="pascal"):
    """A port in a list of containers; `public_port` is None when it is not published."""

    ip: str = field(name="IP", default="")
    private_port: int = 0
    public_port: int | None = None
    type: str = "tcp"


class ContainerSummary(Whole, frozen=True, kw_only=True, rename="pascal"):
    """A container in a list. `status` is for people, such as `Up 5 minutes`; `state` one word, as in `State`."""

    id: str
    names: tuple[str, ...] = ()
    image: str = ""
    image_id: str = field(name="ImageID", default="")
    command: str = ""
    created: datetime | None = None
    state: str = ""
    status: str = ""
    ports: tuple[SummaryPort, ...] = ()
    labels: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    size_rw: int | None = None
    size_root_fs: int | None = None

    @property
    def name(self) -> str:
        """Its own name, without slash; links would have more than one."""
        own = (name[1:] for name in self.names if name.count("/") == 1)
        return next(own, "")


class Change(Record, frozen=True, kw_only=True, rename="pascal"):
    """A path that differs from the image. `kind` is 0 for changed, 1 for added, 2 for deleted."""

    path: str
    kind: int

    @property
    def letter(self) -> str:
        """The kind as `docker diff` prints it."""
        return "CAD"[self.kind]


class Processes(Whole, frozen=True, kw_only=True, rename="pascal"):
    """What ps prints: `titles` of the columns, and a row for each process."""

    titles: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(name="Processes", default=())

    def as_dicts(self) -> list[dict[str, str]]:
        """Each process as a dict by title."""
        return [dict(zip(self.titles, row, strict=False)) for row in self.rows]


class PathStatus(Struct, frozen=True, kw_only=True):
    """A path in a container. `mode` is Go's os.FileMode: permissions below, the kind in its own high bits."""

    name: str = ""
    size: int = 0
    mode: int = 0
    mtime: datetime | None = None
    link_target: str = field(name="linkTarget", default="")

    @property
    def is_directory(self) -> bool:
        """Whether it is one (Go's ModeDir)."""
        return bool(self.mode >> 31 & 1)

    @property
    def permissions(self) -> int:
        """The nine bits, such as 0o644."""
        return self.mode & 0o777
