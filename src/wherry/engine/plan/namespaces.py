"""Which namespaces a container gets, joins or shares with the host."""

from collections.abc import Mapping

from wherry.model.config import HostConfig
from wherry.oci.runtime import Namespace

CONTAINER = "container:"


def namespaces(host_config: HostConfig, paths: Mapping[str, str]) -> tuple[Namespace, ...]:
    """The spec's list. `paths` maps a type to the file of the namespace to join, for `container:` modes.

    A type that is absent from the list is the host's. The network one is handed over by descriptor unless it is
    the host's or another container's.
    """
    wanted = [Namespace(type="mount")]
    modes = {
        "uts": host_config.uts_mode,
        "ipc": host_config.ipc_mode,
        "pid": host_config.pid_mode,
        "network": host_config.network_mode,
        "cgroup": host_config.cgroupns_mode,
    }
    for kind, mode in modes.items():
        if mode.startswith(CONTAINER):
            wanted.append(Namespace(type=kind, path=paths[kind]))
        elif mode != "host":
            wanted.append(Namespace(type=kind))
    return tuple(wanted)


def joined_containers(host_config: HostConfig) -> dict[str, str]:
    """Namespace types that belong to another container, and that container's name or id."""
    modes = {"ipc": host_config.ipc_mode, "pid": host_config.pid_mode, "network": host_config.network_mode}
    return {kind: mode.removeprefix(CONTAINER) for kind, mode in modes.items() if mode.startswith(CONTAINER)}
