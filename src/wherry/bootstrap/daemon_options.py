"""What was said on the command line and in daemon.json, checked and turned into settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.bootstrap.configfile import read_config
from wherry.bootstrap.flags import FlagError, Value, parse_arguments
from wherry.bootstrap.hosts import DEFAULT_HOST, Host, TcpHost, parse_host
from wherry.bootstrap.options import CERTIFICATES, CONFIG_FILE, FLAGS, refuse_unserved
from wherry.engine.settings import (
    CDI_SPEC_DIRS,
    DATA_ROOT,
    EXEC_ROOT,
    SHM_SIZE,
    AddressPool,
    BridgeSettings,
    Limit,
    RegistrySettings,
    Settings,
)
from wherry.model.config import Ulimit

PIDFILE = Path("/run/wherry.pid")
DEFAULT_GROUP = "docker"
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificate and its key are; `clients_ca` when clients must show a certificate too."""

    certificate: Path
    key: Path
    clients_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the daemon itself runs: where it listens, what it logs, what it is told by."""

    hosts: tuple[Host, ...]
    group: str = DEFAULT_GROUP
    group_was_said: bool = False
    tls: TlsFiles | None = None
    pidfile: Path = PIDFILE
    ready_fd: int | None = None
    log_level: str = "info"
    log_format: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that was said. `flags` alone is kept for reading the configuration file again."""

    flags: Mapping[str, Value]
    all: Mapping[str, Value]
    serving: Serving
    settings: Settings


def read_options(arguments: Sequence[str], *, original_nofile: Limit) -> Options:
    """Flags, the configuration file, and both checked. Raises FlagError."""
    return with_config(parse_arguments(FLAGS, arguments), original_nofile=original_nofile)


def with_config(flags: Mapping[str, Value], *, original_nofile: Limit) -> Options:
    """Flags that were read before, with what the configuration file says now. Raises FlagError."""
    path = Path(flags.get("config-file", CONFIG_FILE))
    said = dict(flags) | read_config(path, FLAGS, flags, must_exist="config-file" in flags)
    refuse_unserved(said)
    return Options(flags=flags, all=said, serving=_serving(said), settings=_settings(said, original_nofile))


def _serving(said: Mapping[str, Value]) -> Serving:
    hosts = tuple(parse_host(text) for text in said.get("host") or [DEFAULT_HOST])
    tls = _tls(said)
    # Whoever reaches the API is root; dockerd warns, and announces that it will refuse.
    if tls is None and any(isinstance(host, TcpHost) for host in hosts) and said.get("tls") is not False:
        raise FlagError(
            "listening on TCP without TLS gives root access on this machine to everyone who can reach the port: "
            "use --tlsverify, or say --tls=false if that is meant"
        )
    return Serving(
        hosts=hosts,
        group=said.get("group", DEFAULT_GROUP),
        group_was_said="group" in said,
        tls=tls,
        pidfile=Path(said.get("pidfile", PIDFILE)),
        ready_fd=said.get("ready-fd"),
        log_level=_one_of(said, "log-level", LOG_LEVELS, "invalid logging level: {}"),
        log_format=_one_of(said, "log-format", LOG_FORMATS, "invalid log format: {}", default="text"),
    )


def _tls(said: Mapping[str, Value]) -> TlsFiles | None:
    if not (said.get("tls") or said.get("tlsverify")):
        return None
    return TlsFiles(
        certificate=Path(said.get("tlscert", f"{CERTIFICATES}/cert.pem")),
        key=Path(said.get("tlskey", f"{CERTIFICATES}/key.pem")),
        clients_ca=Path(said.get("tlscacert", f"{CERTIFICATES}/ca.pem")) if said.get("tlsverify") else None,
    )


def _settings(said: Mapping[str, Value], original_nofile: Limit) -> Settings:
    _check_exec_options(said.get("exec-opt", ()))
    _only(said, "default-ipc-mode", "private")
    return Settings(
        data_root=Path(said.get("data-root", DATA_ROOT)),
        exec_root=Path(said.get("exec-root", EXEC_ROOT)),
        storage_driver=said.get("storage-driver", ""),
        log_driver=said.get("log-driver", "json-file"),
        log_options=said.get("log-opt", {}),
        default_runtime=_only(said, "default-runtime", "runc"),
        bridge=_bridge(said),
        address_pools=tuple(AddressPool(base=base, size=size) for base, size in said.get("default-address-pool", ())),
        dns=tuple(said.get("dns", ())),
        dns_options=tuple(said.get("dns-opt", ())),
        dns_search=tuple(said.get("dns-search", ())),
        host_gateway_addresses=tuple(said.get("host-gateway-ip", ())),
        cdi_spec_dirs=tuple(each for each in said.get("cdi-spec-dir", CDI_SPEC_DIRS) if each),
        registry=_registry(said),
        **_container_defaults(said),
        labels=_labels(said.get("label", ())),
        debug=said.get("debug", False),
        experimental=said.get("experimental", False),
        shutdown_timeout_seconds=_at_least(said, "shutdown-timeout", 15, least=0, words="invalid shutdown timeout"),
        original_nofile=original_nofile,
    )


def _container_defaults(said: Mapping[str, Value]) -> dict[str, Any]:
    limits = said.get("default-ulimit", {})
    return {
        "default_ulimits": tuple(Ulimit(name=name, soft=soft, hard=hard) for name, (soft, hard) in limits.items()),
        "default_shm_size": said.get("default-shm-size", SHM_SIZE),
        "default_cgroup_namespace": _one_of(
            said,
            "default-cgroupns-mode",
            ("", "host", "private"),
            'default cgroup namespace mode ({}) is invalid; use "host" or "private"',
            default="",
        ),
        "cgroup_parent": said.get("cgroup-parent", ""),
        "init": said.get("init", False),
        "init_path": said.get("init-path", ""),
        "no_new_privileges": said.get("no-new-privileges", False),
        "seccomp_profile": said.get("seccomp-profile", "builtin"),
    }


def _bridge(said: Mapping[str, Value]) -> BridgeSettings:
    if said.get("bridge") and said.get("bip"):
        raise FlagError("You specified -b & --bip, mutually exclusive options. Please specify only one")
    default = BridgeSettings()
    return BridgeSettings(
        name=said.get("bridge", default.name),
        address=said.get("bip", default.address),
        container_range=said.get("fixed-cidr", default.container_range),
        mtu=_at_least(said, "mtu", default.mtu, least=0, words="invalid default MTU") or default.mtu,
        host_address=said.get("ip", default.host_address),
        between_containers=said.get("icc", default.between_containers),
        forward=said.get("ip-forward", default.forward),
        forward_between_others=said.get("ip-forward-no-drop", default.forward_between_others),
        masquerade=said.get("ip-masq", default.masquerade),
        userland_proxy=said.get("userland-proxy", default.userland_proxy),
    )


def _registry(said: Mapping[str, Value]) -> RegistrySettings:
    return RegistrySettings(
        insecure=tuple(said.get("insecure-registry", ())),
        mirrors=tuple(said.get("registry-mirror", ())),
        downloads_max=_at_least(said, "max-concurrent-downloads", 3, least=1, words="invalid max concurrent downloads"),
        uploads_max=_at_least(said, "max-concurrent-uploads", 5, least=1, words="invalid max concurrent uploads"),
        attempts_max=_at_least(said, "max-download-attempts", 5, least=1, words="invalid max download attempts"),
        http_proxy=said.get("http-proxy", ""),
        https_proxy=said.get("https-proxy", ""),
        no_proxy=said.get("no-proxy", ""),
    )


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Each key may have one value only."""
    seen: dict[str, str] = {}
    for label in labels:
        key = label.partition("=")[0]
        if seen.setdefault(key, label) != label:
            raise FlagError(f"conflict labels for {label} and {seen[key]}")
    return tuple(seen.values())


def _check_exec_options(options: Sequence[str]) -> None:
    for option in options:
        key, _, value = option.partition("=")
        if key.strip().lower() != "native.cgroupdriver":
            raise FlagError(f"--exec-opt {key} is not served by Wherry yet")
        if value != "cgroupfs":
            raise FlagError(f"--exec-opt {option} is not served by Wherry yet: cgroups are managed as files (cgroupfs)")


def _only(said: Mapping[str, Value], name: str, served: str) -> str:
    """The one value that is served. Raises FlagError for others."""
    if said.get(name, served) != served:
        raise FlagError(f"--{name} {said[name]} is not served by Wherry yet: it is always {served}")
    return served


def _one_of(said: Mapping[str, Value], name: str, allowed: Sequence[str], words: str, *, default: str = "info") -> str:
    value = said.get(name, default)
    if value not in allowed:
        raise FlagError(words.format(value))
    return str(value)


def _at_least(said: Mapping[str, Value], name: str, default: int, *, least: int, words: str) -> int:
    value = int(said.get(name, default))
    if value < least:
        raise FlagError(f"{words}: {value}")
    return value
