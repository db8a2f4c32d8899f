"""Options of the Engine API that Wherry knows and does not serve yet: each is refused by its name, none ignored."""

from wherry.model.config import HostConfig, NetworkingConfig
from wherry.model.errors import InvalidParameter, Unsupported


def refuse_unserved(host_config: HostConfig, networking: NetworkingConfig) -> None:
    """Raise Unsupported for the first option that would otherwise be ignored."""
    for name, value in _unserved(host_config):
        if value:
            raise Unsupported(f"{name} is not supported yet")
    if host_config.userns_mode not in {"", "host", "private"}:
        raise Unsupported(f"UsernsMode {host_config.userns_mode!r} is not supported yet")
    if host_config.isolation not in {"", "default"}:
        raise InvalidParameter(f"invalid isolation ({host_config.isolation}): linux only supports 'default'")
    if len(networking.endpoints_config or {}) > 1:
        raise Unsupported("more than one network in NetworkingConfig.EndpointsConfig is not supported yet")


def _unserved(host_config: HostConfig) -> tuple[tuple[str, object], ...]:
    return (("HostConfig.Cgroup", host_config.cgroup),)
