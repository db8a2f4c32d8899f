"""`Config` and `HostConfig` on the wire: the fields that Go leaves out when they are empty are left out here."""

from typing import Any

import msgspec

from wherry.model.config import Config, HostConfig

_CONFIG_OMITTED = (
    "ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "StopTimeout", "Shell",
)  # fmt: skip
_HOST_OMITTED = (
    "Annotations", "StorageOpt", "Tmpfs", "Sysctls", "Runtime", "Mounts", "Init", "KernelMemory", "KernelMemoryTCP",
)  # fmt: skip


def config_view(config: Config) -> dict[str, Any]:
    """A container's configuration."""
    return _without_empty(msgspec.to_builtins(config), _CONFIG_OMITTED)


def host_config_view(config: HostConfig) -> dict[str, Any]:
    """A container's host configuration."""
    wire = _without_empty(msgspec.to_builtins(config), _HOST_OMITTED)
    wire["LogConfig"]["Config"] = wire["LogConfig"]["Config"] or {}
    return wire


def _without_empty(wire: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    # `False` and 0 of a pointer were said (Init, StopTimeout); those of a plain field are empty.
    for name in names:
        value = wire[name]
        if value is None or (not value and name not in {"Init", "StopTimeout"}):
            del wire[name]
    return wire
