"""Options of the Engine API that Wherry knows and does not serve yet: each is refused by its name, none ignored."""

from wherry.model.config import HostConfig, NetworkingConfig
from wherry.model.errors import InvalidParameter, Unsupported

LOG_DRIVERS = ("json-file", "none")
# Docker's own drivers (docs "Configure logging drivers"): real, but not here yet.
LOG_DRIVERS_OF_DOCKER = (
    "local", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "etwlogs", "gcplogs",
)  # fmt: skip
LOG_OPTIONS_OF_DOCKER = (
    "compress", "env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag",
)  # fmt: skip
LOG_OPTIONS = {"json-file": {"max-size", "max-file"}, "none": set[str]()}


def refuse_unserved(host_config: HostConfig, networking: NetworkingConfig) -> None:
    """Raise Unsupported for the first option that would otherwise be ignored."""
    for name, value in _unserved(host_config):
        if value:
            raise Unsupported(f"{name} is not supported yet")
    if host_config.userns_mode not in {"", "host"}:
        raise Unsupported(f"UsernsMode {host_config.userns_mode!r} is not supported yet")
    if host_config.isolation not in {"", "default"}:
        raise InvalidParameter(f"invalid isolation ({host_config.isolation}): linux only supports 'default'")
    if len(networking.endpoints_config or {}) > 1:
        raise Unsupported("more than one network in NetworkingConfig.EndpointsConfig is not supported yet")
    refuse_log_config(host_config.log_config.type, host_config.log_config.config or {})


def refuse_log_config(driver: str, options: dict[str, str]) -> None:
    """Raise for log drivers and log options that do not exist, or not yet; an empty driver is the default one."""
    if driver in LOG_DRIVERS_OF_DOCKER:
        raise Unsupported(f"log driver {driver} is not supported yet")
    if driver and driver not in LOG_DRIVERS:
        raise InvalidParameter(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    for option in options:
        if option in LOG_OPTIONS_OF_DOCKER and driver in {"", "json-file"}:
            raise Unsupported(f"log option {option} is not supported yet")
        if option not in LOG_OPTIONS.get(driver or "json-file", set()):
            raise InvalidParameter(f"unknown log opt '{option}' for {driver or 'json-file'} log driver")


def _unserved(host_config: HostConfig) -> tuple[tuple[str, object], ...]:
    return (
        ("HostConfig.Cgroup", host_config.cgroup),
        ("HostConfig.DeviceRequests", host_config.device_requests),
        ("HostConfig.StorageOpt", host_config.storage_opt),
    )
