"""Networks on the wire."""

from collections.abc import Iterable
from typing import Any

from wherry.model.clock import rfc3339
from wherry.model.container import Container
from wherry.model.network import Endpoint, IpamPool, Network


def network_view(network: Network, members: Iterable[tuple[Container, Endpoint]] = ()) -> dict[str, Any]:
    """A network with the containers on it; a list of networks shows none of them."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created_ns),
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": network.ipam_options,
            "Config": [_pool_view(pool) for pool in network.pools] or None,
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {container.id: _member_view(container, endpoint) for container, endpoint in members},
        "Options": network.options,
        "Labels": network.labels,
    }


def _pool_view(pool: IpamPool) -> dict[str, Any]:
    wire = {"Subnet": pool.subnet, "IPRange": pool.ip_range, "Gateway": pool.gateway}
    return {
        **{name: value for name, value in wire.items() if value},
        **({"AuxiliaryAddresses": pool.auxiliary} if pool.auxiliary else {}),
    }


def _member_view(container: Container, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": container.name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac_address,
        "IPv4Address": _with_prefix(endpoint.ip_address, endpoint.ip_prefix),
        "IPv6Address": _with_prefix(endpoint.ipv6_address, endpoint.ipv6_prefix),
    }


def _with_prefix(address: str, prefix: int) -> str:
    return f"{address}/{prefix}" if address else ""
