"""A bridge network in the kernel: its link and address, who has which address, and how an endpoint on it looks."""

import secrets
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.crashpoints import crash_point
from wherry.linux.netlink import address, link
from wherry.linux.netlink.connection import Connection
from wherry.model.errors import InvalidParameter
from wherry.model.network import Endpoint, IpamPool, Network
from wherry.networks.firewall import BridgeRules
from wherry.networks.options import NetworkOptions, bridge_interface, fixed_range
from wherry.networks.plan import Interface
from wherry.networks.subnets import Addresses, choose, in_use
from wherry.networks.sysctl import write

DRIVER = "bridge"
OPTION_DEFAULT = "com.docker.network.bridge.default_bridge"
OPTION_ICC = "com.docker.network.bridge.enable_icc"
OPTION_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
OPTION_HOST_IP = "com.docker.network.bridge.host_binding_ipv4"
OPTION_NAME = "com.docker.network.bridge.name"
OPTION_MTU = "com.docker.network.driver.mtu"


@dataclass(frozen=True, slots=True)
class Bridge:
    """One bridge network that is up: what its record says, and what the kernel has for it.

    `links` are the ends in the bridge of all interfaces that were asked for and not given back, with their addresses.
    """

    network: Network
    link: link.Link
    addresses: Addresses
    links: dict[str, IPv4Address] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        """The bridge's own address, dotted."""
        return self.network.pools[0].gateway

    @property
    def is_default(self) -> bool:
        """Whether it is the network that containers get when none is named."""
        return flag(self.network, OPTION_DEFAULT)

    @property
    def rules(self) -> BridgeRules:
        """What the firewall needs to know of it."""
        return BridgeRules(
            link=self.link.name,
            subnet=self.network.pools[0].subnet,
            icc=flag(self.network, OPTION_ICC),
            masquerade=flag(self.network, OPTION_MASQUERADE),
        )

    def interface(
        self, *, name: str, given: IPv4Address, mac: str, is_default_route: bool, link_local: tuple[str, ...] = ()
    ) -> Interface:
        """A veth pair for an endpoint with this address; `mac` empty to derive it from the address."""
        host_name = f"veth{secrets.token_hex(4)[:7]}"
        self.links[host_name] = given
        return Interface(
            host_name=host_name,
            name=name,
            bridge=self.link.index,
            mac=mac or mac_of(given),
            address=str(given),
            prefix=self.addresses.subnet.prefixlen,
            gateway=self.gateway if is_default_route else "",
            mtu=int(self.network.options[OPTION_MTU]),
            isolated=not flag(self.network, OPTION_ICC),
            link_local=link_local,
        )

    def adopt(self, endpoint: Endpoint) -> None:
        """Know the interface of a container that runs. Raises Conflict, InvalidParameter for its address."""
        self.links[endpoint.host_interface] = self.addresses.claim(endpoint.ip_address)

    def release(self, host_name: str, given: IPv4Address) -> None:
        """An interface is gone, and its address free. Safe to repeat."""
        self.links.pop(host_name, None)
        self.addresses.release(given)


def flag(network: Network, option: str) -> bool:
    """A network's option that is true or false; not said is false."""
    return network.options.get(option) == "true"


def mac_of(given: IPv4Address) -> str:
    """Docker's address of an interface: 02:42 and the four bytes of its IPv4 address."""
    return (b"\x02\x42" + given.packed).hex(":")


def describe_default(network: Network, options: NetworkOptions, interface: IPv4Interface) -> Network:
    """The default network's record as these options make it; id and age stay."""
    part = fixed_range(options, interface.network)
    return Network(
        id=network.id,
        name=network.name,
        driver=DRIVER,
        created_ns=network.created_ns,
        pools=(
            IpamPool(
                subnet=str(interface.network),
                gateway=str(interface.ip),
                ip_range=str(part) if part != interface.network else "",
            ),
        ),
        options={
            OPTION_DEFAULT: "true",
            OPTION_ICC: str(options.icc).lower(),
            OPTION_MASQUERADE: str(options.ip_masquerade).lower(),
            OPTION_HOST_IP: options.host_ip,
            OPTION_NAME: options.bridge,
            OPTION_MTU: str(options.mtu),
        },
    )


def address_for_default(route: Connection, network: Network, options: NetworkOptions) -> IPv4Interface:
    """--bip, else what the link has, else what it had the last time if that is still free, else a free subnet.

    Raises InvalidParameter when the link has another address than --bip says, Unavailable when all is taken.
    """
    wanted, present = bridge_interface(options), _present_address(route, options.bridge)
    if wanted is not None and present not in (None, wanted):
        raise InvalidParameter(f"bridge {options.bridge} has the address {present}, which is not --bip {wanted}")
    if wanted is not None or present is not None:
        return wanted or present  # type: ignore[return-value]
    taken = in_use(route)
    if network.pools:
        subnet = IPv4Network(network.pools[0].subnet)
        if not any(subnet.overlaps(other) for other in taken):
            return IPv4Interface((network.pools[0].gateway, subnet.prefixlen))
    subnet = choose(options.address_pools, taken)
    return IPv4Interface((subnet.network_address + 1, subnet.prefixlen))


def _present_address(route: Connection, name: str) -> IPv4Interface | None:
    found = link.find(route, name)
    if found is None:
        return None
    _check_kind(found)
    own = [one for one in address.addresses(route) if one.link == found.index]
    return IPv4Interface((own[0].address, own[0].prefix)) if own else None


def raise_bridge(route: Connection, network: Network) -> Bridge:
    """Make the kernel have this bridge network, up and with its address. Raises OSError, InvalidParameter."""
    pool = network.pools[0]
    subnet, gateway = IPv4Network(pool.subnet), IPv4Address(pool.gateway)
    part = IPv4Network(pool.ip_range) if pool.ip_range else subnet
    found = _ensure_link(route, network.options[OPTION_NAME], int(network.options[OPTION_MTU]))
    if not any(one.link == found.index and one.address == pool.gateway for one in address.addresses(route)):
        route.transact([address.new_address(found.index, gateway.packed, subnet.prefixlen)])
    crash_point("network.bridge-addressed")
    _tune(found.name)
    return Bridge(network, found, Addresses(subnet, part, gateway))


def _ensure_link(route: Connection, name: str, mtu: int) -> link.Link:
    # Of its own choice the kernel takes the lowest address of the ports, and changes it when they change: for whoever
    # remembers the old one the host is silent then. So a bridge of the administrator's keeps the one that it has.
    found = link.find(route, name)
    if found is None:
        route.transact([link.new_bridge(name, mac=b"\x02\x42" + secrets.token_bytes(4), mtu=mtu)])
        crash_point("network.bridge-made")
        found = link.find(route, name)
        assert found is not None
    _check_kind(found)
    route.transact([link.set_mac(found.index, bytes.fromhex(found.mac.replace(":", "")))])
    if not found.is_up:
        route.transact([link.set_up(found.index)])
    return found


def _check_kind(found: link.Link) -> None:
    if found.kind != "bridge":
        raise InvalidParameter(f"{found.name} is a link of this host, but not a bridge")


def _tune(name: str) -> None:
    # What the host sends from 127.0.0.1 to a published port leaves over the bridge.
    write(f"ipv4/conf/{name}/route_localnet", "1")
    # A container with CAP_NET_RAW could announce itself as the host's router (CVE-2020-13401).
    write(f"ipv6/conf/{name}/accept_ra", "0", missing_is_fine=True)
