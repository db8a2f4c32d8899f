"""What the daemon was told at its start: dockerd's options as one frozen record."""

from dataclasses import dataclass, field
from pathlib import Path

from wherry.model.config import Ulimit

DATA_ROOT = Path("/var/lib/wherry")
EXEC_ROOT = Path("/run/wherry")
CDI_SPEC_DIRS = ("/etc/cdi", "/var/run/cdi")
SHM_SIZE = 64 * 1024 * 1024

# dockerd opens 1,048,576 files when it may; a container gets back what the daemon itself was started with.
Limit = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPool:
    """Where subnets for new networks come from: `base` is a CIDR, `size` the prefix length of each subnet."""

    base: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """The default bridge. `name` is an interface, `none` for no bridge at all, empty for Wherry's own.

    `address` is the bridge's own address as a CIDR (--bip), `container_range` a CIDR inside it (--fixed-cidr);
    both empty for the first free subnet. `mtu` in bytes. `host_address` is where ports are published by default.
    `forward_between_others` leaves the host's other links routed when forwarding had to be switched on.
    """

    name: str = ""
    address: str = ""
    container_range: str = ""
    mtu: int = 1500
    host_address: str = "0.0.0.0"  # noqa: S104 - dockerd's default for published ports
    between_containers: bool = True
    forward: bool = True
    masquerade: bool = True
    forward_between_others: bool = False
    userland_proxy: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """How registries are spoken to. Proxies empty mean the environment's."""

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    downloads_max: int = 3
    uploads_max: int = 5
    attempts_max: int = 5
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the daemon was told. Sizes in bytes, times in seconds.

    `log_options` and `log_driver` are defaults for containers that do not say. `original_nofile` is RLIMIT_NOFILE
    (soft, hard) before the daemon raised its own. `default_cgroup_namespace` empty means host on cgroup v1 and
    private on v2, as dockerd.
    """

    data_root: Path = DATA_ROOT
    exec_root: Path = EXEC_ROOT
    storage_driver: str = ""
    log_driver: str = "json-file"
    log_options: dict[str, str] = field(default_factory=dict)
    default_runtime: str = "wherry"
    bridge: BridgeSettings = BridgeSettings()
    address_pools: tuple[AddressPool, ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway_addresses: tuple[str, ...] = ()
    cdi_spec_dirs: tuple[str, ...] = CDI_SPEC_DIRS
    registry: RegistrySettings = RegistrySettings()
    default_ulimits: tuple[Ulimit, ...] = ()
    default_shm_size: int = SHM_SIZE
    default_cgroup_namespace: str = ""
    cgroup_parent: str = ""
    init: bool = False
    init_path: str = ""
    no_new_privileges: bool = False
    seccomp_profile: str = "builtin"
    labels: tuple[str, ...] = ()
    debug: bool = False
    experimental: bool = False
    shutdown_timeout_seconds: int = 15
    original_nofile: Limit = (1024, 524288)
