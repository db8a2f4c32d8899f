"""The runtime-spec's `config.json` and `state` as records (OCI runtime-spec 1.2, Linux).

Strict: a wrong type raises `SpecError` with the path of the field; unknown fields are ignored, as the
specification demands (spec.md, "Extensibility"). None means absent.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

OCI_VERSION = "1.2.1"

Strings = tuple[str, ...]
T = TypeVar("T")


class SpecError(ValueError):
    """A configuration that is not a valid runtime-spec; the message names the field."""


class _Spec(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A record with camelCase keys that leaves out what was not said."""


class Root(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The root file system: absolute, or relative to the bundle."""

    path: str
    readonly: bool = False


class IdMapping(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`size` ids from `container_id` inside are those from `host_id` outside."""

    container_id: int = field(name="containerID")
    host_id: int = field(name="hostID")
    size: int


class Mount(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One mount: options are mount(8) words plus rbind, rro, propagation and idmap words."""

    destination: str
    type: str = ""
    source: str = ""
    options: Strings = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()


class ConsoleSize(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The terminal's size in characters."""

    height: int
    width: int


class User(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Numeric ids in the container; umask None leaves 0022."""

    uid: int = 0
    gid: int = 0
    umask: int | None = None
    additional_gids: tuple[int, ...] = ()


class Capabilities(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The five sets of capabilities(7), by names such as CAP_CHOWN."""

    bounding: Strings = ()
    effective: Strings = ()
    inheritable: Strings = ()
    permitted: Strings = ()
    ambient: Strings = ()


class Rlimit(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One setrlimit(2) by names such as RLIMIT_NOFILE; 2**64-1 is unlimited."""

    type: str
    hard: int
    soft: int


class Process(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The user's program and all that it runs with."""

    cwd: str
    args: Strings = ()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    env: Strings = ()
    user: User = User()
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: int | None = None
    selinux_label: str = ""


class Namespace(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A namespace to make, or with a path to join; types: pid network mount ipc uts user cgroup time."""

    type: str
    path: str = ""


class Device(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A device node: type b, c, u or p."""

    type: str
    path: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class DeviceRule(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line of the device cgroup; major and minor None match all; access out of `rwm`."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


class Memory(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Bytes; -1 is unlimited; `swap` is memory plus swap (the v1 meaning)."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = field(default=None, name="kernelTCP")
    swappiness: int | None = None
    disable_oom_killer: bool | None = field(default=None, name="disableOOMKiller")
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Shares relative, quota and periods in microseconds, cpus and mems as lists such as `0-2,4`."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many tasks; 0 or less is unlimited."""

    limit: int


class WeightDevice(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A weight for one block device."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A rate for one block device, in bytes or operations per second."""

    major: int
    minor: int
    rate: int


class BlockIo(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Weights and throttles of block devices."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = field(default=(), name="throttleReadIOPSDevice")
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = field(default=(), name="throttleWriteIOPSDevice")


class HugepageLimit(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Bytes of one size of huge pages, such as `2MB`."""

    page_size: str
    limit: int


class InterfacePriority(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """net_prio for one interface."""

    name: str
    priority: int


class NetworkResources(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """net_cls and net_prio (v1)."""

    class_id: int | None = field(default=None, name="classID")
    priorities: tuple[InterfacePriority, ...] = ()


class Rdma(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Limits of one RDMA device."""

    hca_handles: int | None = None
    hca_objects: int | None = None

    def as_text(self, device: str) -> str:
        """The line that the file rdma.max takes."""
        handles = "" if self.hca_handles is None else f" hca_handle={self.hca_handles}"
        objects = "" if self.hca_objects is None else f" hca_object={self.hca_objects}"
        return f"{device}{handles}{objects}"


class Resources(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the container's cgroup allows; `unified` are raw v2 files and their contents."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = field(default=None, name="blockIO")
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: NetworkResources | None = None
    rdma: dict[str, Rdma] | None = None
    unified: dict[str, str] | None = None


class SeccompArg(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A comparison of one argument, by SCMP_CMP_* names."""

    index: int
    value: int
    op: str
    value_two: int = 0


class SeccompRule(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What happens to some system calls; all `args` must match."""

    names: Strings
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] = ()


class Seccomp(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A system call filter, by SCMP_ACT_* and SCMP_ARCH_* names; `flags` () is not the same as None, not said."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: Strings = ()
    flags: Strings | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[SeccompRule, ...] = ()


class TimeOffset(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An offset of a clock in a time namespace."""

    secs: int = 0
    nanosecs: int = 0


class Linux(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The Linux section."""

    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    time_offsets: dict[str, TimeOffset] | None = None
    devices: tuple[Device, ...] = ()
    cgroups_path: str = ""
    resources: Resources | None = None
    rootfs_propagation: str = ""
    seccomp: Seccomp | None = None
    sysctl: dict[str, str] | None = None
    masked_paths: Strings = ()
    readonly_paths: Strings = ()
    mount_label: str = ""
    intel_rdt: dict[str, Any] | None = None
    personality: dict[str, Any] | None = None


class Hook(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A program to run at a point of the life cycle; timeout in seconds."""

    path: str
    args: Strings = ()
    env: Strings = ()
    timeout: int | None = None


class Hooks(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Programs by the point at which they run."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class Spec(_Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A whole `config.json`."""

    oci_version: str
    root: Root | None = None
    process: Process | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks | None = None
    annotations: dict[str, str] | None = None
    linux: Linux | None = None


class State(Struct, frozen=True, kw_only=True, rename="camel"):
    """What `state` prints (runtime.md): status is creating, created, running or stopped, and here also paused."""

    oci_version: str
    id: str
    status: str
    pid: int
    bundle: str
    annotations: dict[str, str] = {}


def parse_spec(data: bytes) -> Spec:
    """Read a `config.json`. Raises SpecError."""
    return _parse(data, Spec)


def parse_process(data: bytes) -> Process:
    """Read a `process` object, as `exec --process` takes it. Raises SpecError."""
    return _parse(data, Process)


def encode(record: Struct) -> bytes:
    """A record as compact JSON."""
    return msgspec.json.encode(record)


def _parse(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise SpecError(f"config.json: {error}") from None
