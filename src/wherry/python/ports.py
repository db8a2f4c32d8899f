"""Where a container's port is reached."""

from wherry.client.errors import NotFound
from wherry.python.records.container import ContainerInfo

ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what an engine says for "all addresses of the host"


def address_of(info: ContainerInfo, port: int | str, *, host: str) -> tuple[str, int]:
    """Where it is published on `host`, or else the container's own address on its network.

    Raises NotFound when it has neither.
    """
    name = str(port) if "/" in str(port) else f"{port}/tcp"
    bindings = [each for each in info.network_settings.ports.get(name, ()) if each.host_port]
    for binding in bindings:
        if ":" not in binding.host_ip:
            return (host if binding.host_ip in ANYWHERE else binding.host_ip), binding.host_port
    if bindings:
        return ("::1" if bindings[0].host_ip == "::" else bindings[0].host_ip), bindings[0].host_port
    if info.ip_address:
        return info.ip_address, int(name.partition("/")[0])
    raise NotFound(404, f"No public port '{name}' published for {info.name}")
