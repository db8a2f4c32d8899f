"""Networks, endpoints and published ports as values (libnetwork's terms)."""

from msgspec import Struct


class IpamPool(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One subnet of a network: CIDR, the range to hand out from, the gateway, reserved addresses."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] | None = None


class Network(Struct, frozen=True, kw_only=True):
    """A network that containers can join."""

    id: str
    name: str
    driver: str
    created_ns: int
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: tuple[IpamPool, ...] = ()
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class PublishedPort(Struct, frozen=True, kw_only=True):
    """One port of a container on one address of the host; protocol is tcp, udp or sctp."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


class PortRequest(Struct, frozen=True, kw_only=True):
    """A wish for a published port. `host_ip` empty: all; `host_port_first` 0: any free one; else a range."""

    container_port: int
    protocol: str
    host_ip: str = ""
    host_port_first: int = 0
    host_port_last: int = 0


class Endpoint(Struct, frozen=True, kw_only=True):
    """A container's place on one network, as it is while the container runs.

    Addresses are plain (`172.17.0.2`), prefixes their length; empty and 0 where there is none.
    """

    id: str
    network_id: str
    network_name: str
    mac_address: str = ""
    ip_address: str = ""
    ip_prefix: int = 0
    gateway: str = ""
    ipv6_address: str = ""
    ipv6_prefix: int = 0
    ipv6_gateway: str = ""
    host_interface: str = ""


class Attachment(Struct, frozen=True, kw_only=True):
    """All of a running container's network: its endpoints and its published ports; stored with the container."""

    sandbox_id: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
