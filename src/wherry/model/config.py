"""What a user asks a container to be: `Config` travels with an image, `HostConfig` belongs to a host.

The records carry the Engine API's own fields (API 1.51, definitions `ContainerConfig`, `HostConfig`), because
inspect must give back what create was given. None means "not said"; Go's nil slices and maps are None here.
"""

from typing import Any

from msgspec import Struct, field

Names = tuple[str, ...]
Strings = tuple[str, ...] | None
StringMap = dict[str, str] | None


class _Wire(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A record whose JSON keys are in PascalCase unless a field names its own."""


class Healthcheck(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How to probe a container; durations in nanoseconds, 0 to inherit."""

    test: Strings = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """What is independent of the host: command, environment, user, streams, labels."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: Strings = None
    cmd: Strings = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: Strings = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: Strings = None
    labels: StringMap = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: Strings = None


class LogConfig(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """Which log driver writes, with which options; an empty type is the daemon's default."""

    type: str = ""
    config: StringMap = None


class PortBinding(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A host address and port; both may be empty: any address, a port of the engine's choice."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """`no`, `always`, `unless-stopped` or `on-failure` with a count; an empty name means `no`."""

    name: str = ""
    maximum_retry_count: int = 0


class Device(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A device of the host in the container; permissions out of `rwm`."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A request to a device driver such as CDI."""

    driver: str = ""
    count: int = 0
    device_i_ds: Strings = field(default=None, name="DeviceIDs")
    capabilities: tuple[Names, ...] | None = None
    options: StringMap = None


class Ulimit(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A resource limit by its docker name, such as `nofile`; -1 is unlimited."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class WeightDevice(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A block device and its weight, 10 to 1000."""

    path: str = ""
    weight: int = 0


class ThrottleDevice(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """A block device and its rate, in bytes or operations per second."""

    path: str = ""
    rate: int = 0


class BindOptions(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Options of a mount of type bind."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A volume driver and its options."""

    name: str = ""
    options: StringMap = None


class VolumeOptions(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Options of a mount of type volume."""

    no_copy: bool = False
    labels: StringMap = None
    subpath: str = ""
    driver_config: DriverConfig | None = None


class TmpfsOptions(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Options of a mount of type tmpfs: size in bytes, mode as a number."""

    size_bytes: int = 0
    mode: int = 0
    options: tuple[Names, ...] | None = None


class ImageOptions(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Options of a mount of type image."""

    subpath: str = ""


class MountRequest(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One `--mount` as the API carries it (`HostConfig.Mounts`)."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class HostConfig(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """What belongs to the host: resources, mounts, ports, privileges, restart."""

    binds: Strings = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, tuple[PortBinding, ...] | None] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: Strings = None
    console_size: tuple[int, int] = (0, 0)
    annotations: StringMap = None
    cap_add: Strings = None
    cap_drop: Strings = None
    cgroupns_mode: str = ""
    dns: Strings = None
    dns_options: Strings = None
    dns_search: Strings = None
    extra_hosts: Strings = None
    group_add: Strings = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: Strings = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: Strings = None
    storage_opt: StringMap = None
    tmpfs: StringMap = None
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: StringMap = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_i_ops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_i_ops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[Device, ...] | None = None
    device_cgroup_rules: Strings = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = field(default=0, name="KernelMemoryTCP")
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_i_ops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")
    mounts: tuple[MountRequest, ...] | None = None
    init: bool | None = None
    masked_paths: Strings = None
    readonly_paths: Strings = None


class Reconfiguration(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """What Wherry can change of a container beside its limits (`Wherry` in the body of `/containers/{id}/update`).

    `publish` and `unpublish` are as `PortBindings`; in `unpublish` no binding, or an empty port or address, means any.
    """

    publish: dict[str, tuple[PortBinding, ...] | None] | None = None
    unpublish: dict[str, tuple[PortBinding, ...] | None] | None = None
    env: Strings = None
    env_remove: Strings = None
    mounts: tuple[MountRequest, ...] | None = None
    mounts_remove: Strings = None


class EndpointIpam(_Wire, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Addresses that the user chose for an endpoint."""

    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: Strings = field(default=None, name="LinkLocalIPs")


class EndpointRequest(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """How a container wants to be on one network (`NetworkingConfig.EndpointsConfig`)."""

    ipam_config: EndpointIpam | None = field(default=None, name="IPAMConfig")
    links: Strings = None
    mac_address: str = ""
    aliases: Strings = None
    driver_opts: StringMap = None
    gw_priority: int = 0
    network_id: str = field(default="", name="NetworkID")


class NetworkingConfig(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """The networks a container shall be on, by network name or id."""

    endpoints_config: dict[str, EndpointRequest] | None = None


class CreateRequest(Config, frozen=True, kw_only=True, rename="pascal"):
    """The body of `POST /containers/create`: a Config with the two others beside it."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class UpdateRequest(_Wire, frozen=True, kw_only=True, rename="pascal"):
    """The body of `POST /containers/{id}/update` (Go's UpdateConfig): limits as in HostConfig, and the policy.

    What is empty stays as it is.
    """

    restart_policy: RestartPolicy = RestartPolicy()
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_i_ops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_i_ops: tuple[ThrottleDevice, ...] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[Device, ...] | None = None
    device_cgroup_rules: Strings = None
    device_requests: tuple[DeviceRequest, ...] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = field(default=0, name="KernelMemoryTCP")
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_i_ops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")


class ChangeRequest(UpdateRequest, frozen=True, kw_only=True, rename="pascal"):
    """An update with what is Wherry's own."""

    wherry: Reconfiguration | None = None
