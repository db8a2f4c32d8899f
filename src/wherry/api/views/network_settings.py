"""A container's `NetworkSettings` and `Ports`: what is attached while it runs, what was asked for while it does not."""

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import msgspec

from wherry.engine.request.mac import main_endpoint
from wherry.model.config import EndpointRequest
from wherry.model.container import Container
from wherry.model.network import Attachment, Endpoint, PublishedPort

_NO_ENDPOINT = Endpoint(id="", network_id="", network_name="")
_NO_WISH = EndpointRequest()
_DEFAULT_NETWORK = "bridge"


def network_settings_view(container: Container, *, sandbox_key: str) -> dict[str, Any]:
    """What inspect shows. `sandbox_key` is the path of the network namespace, empty for none.

    The fields beside Networks are those of the default bridge, for clients from before there were several networks.
    """
    endpoint = next((one for one in _endpoints(container) if one.network_name == _DEFAULT_NETWORK), _NO_ENDPOINT)
    attachment = container.attachment
    settled = main_endpoint(container.networking, container.host_config.network_mode)[1]
    return {
        "Bridge": "",
        "SandboxID": attachment.sandbox_id if attachment else "",
        "SandboxKey": sandbox_key if attachment else "",
        "Ports": _port_map(container),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": endpoint.id,
        **_addresses(endpoint),
        "MacAddress": endpoint.mac_address or _wished_mac(settled),
        "Networks": networks_view(container),
    }


def networks_view(container: Container) -> dict[str, Any]:
    """A container's place on each of its networks, by the network's name."""
    wishes = container.networking.endpoints_config or {}
    asked = {_named(name): wish for name, wish in wishes.items()}
    found = {endpoint.network_name: endpoint for endpoint in _endpoints(container)}
    names = [*found, *(name for name in asked if name not in found)]
    if not names and (mode := _own_network(container)):
        names = [mode]
    return {name: _endpoint_view(asked.get(name), found.get(name, _NO_ENDPOINT)) for name in names}


def ports_view(container: Container) -> list[dict[str, Any]]:
    """The `Ports` of the list of containers: published ones, then those that are merely exposed."""
    published = [_published_view(port) for port in _published(container)]
    bare = [key for key, bindings in _port_map(container).items() if bindings is None]
    exposed = [{"PrivatePort": int(number), "Type": kind} for number, _, kind in (key.partition("/") for key in bare)]
    return sorted([*exposed, *published], key=itemgetter("PrivatePort"))


def _endpoints(container: Container) -> Iterable[Endpoint]:
    return container.attachment.endpoints if container.attachment else ()


def _published(container: Container) -> Iterable[PublishedPort]:
    return container.attachment.ports if container.attachment else ()


def _own_network(container: Container) -> str:
    """The network that the mode names; none for a container in another's network."""
    mode = container.host_config.network_mode
    if mode.startswith("container:"):
        return ""
    return _named(mode)


def _named(network: str) -> str:
    """The command line says `default` for whatever the default network is."""
    return _DEFAULT_NETWORK if network in {"", "default"} else network


def _endpoint_view(asked: EndpointRequest | None, found: Endpoint) -> dict[str, Any]:
    if asked is None and found is _NO_ENDPOINT:
        return _BLANK.copy()  # nearly every row of a long list
    wish = asked or _NO_WISH
    return {
        "IPAMConfig": msgspec.to_builtins(wish.ipam_config) if wish.ipam_config is not None else None,
        "Links": _list(wish.links),
        "Aliases": _list(wish.aliases),
        "MacAddress": found.mac_address or _wished_mac(wish),
        "DriverOpts": wish.driver_opts,
        "GwPriority": wish.gw_priority,
        "NetworkID": found.network_id or wish.network_id,
        "EndpointID": found.id,
        **_addresses(found),
        "DNSNames": None,
    }


def _wished_mac(wish: EndpointRequest) -> str:
    """Shown until the container has been on the network; after that, what it had last is gone."""
    return "" if wish.network_id else wish.mac_address


def _addresses(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.ip_address,
        "IPPrefixLen": endpoint.ip_prefix,
        "IPv6Gateway": endpoint.ipv6_gateway,
        "GlobalIPv6Address": endpoint.ipv6_address,
        "GlobalIPv6PrefixLen": endpoint.ipv6_prefix,
    }


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _port_map(container: Container) -> dict[str, list[dict[str, str]] | None]:
    if not _has_own_ports(container.attachment):
        return {}
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(sorted(container.config.exposed_ports or {}))
    for port in _published(container):
        key = f"{port.container_port}/{port.protocol}"
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        ports[key] = [*(ports.get(key) or []), binding]
    return ports


def _has_own_ports(attachment: Attachment | None) -> bool:
    """Ports mean something on a bridge only, not on the host's own network or without any."""
    return attachment is not None and any(endpoint.ip_address for endpoint in attachment.endpoints)


def _published_view(port: PublishedPort) -> dict[str, Any]:
    return {
        "IP": port.host_ip,
        "PrivatePort": port.container_port,
        "PublicPort": port.host_port,
        "Type": port.protocol,
    }


_BLANK = _endpoint_view(_NO_WISH, _NO_ENDPOINT)
