"""What an administrator decides about the networks, as a value: dockerd's flags of the same names."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.model.errors import InvalidParameter

DEFAULT_BRIDGE = "wherry0"
DISABLED_BRIDGE = "none"
DEFAULT_MTU = 1500
LINK_NAME_LENGTH_MAX = 15


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Subnets of prefix length `size` are cut from `base`, lowest first."""

    base: IPv4Network
    size: int


# moby daemon/libnetwork/ipamutils: the pools that dockerd takes its subnets from, in its order.
DEFAULT_POOLS = (
    AddressPool(IPv4Network("172.17.0.0/16"), 16),
    AddressPool(IPv4Network("172.18.0.0/16"), 16),
    AddressPool(IPv4Network("172.19.0.0/16"), 16),
    AddressPool(IPv4Network("172.20.0.0/14"), 16),
    AddressPool(IPv4Network("172.24.0.0/14"), 16),
    AddressPool(IPv4Network("172.28.0.0/14"), 16),
    AddressPool(IPv4Network("192.168.0.0/16"), 20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """dockerd's network flags. `spare_namespaces` are kept ready for containers on the default bridge.

    `bridge` is a link's name, made when it is not there, or `none`. `bip` is the bridge's own address with its
    prefix; `fixed_cidr` the part of its subnet to hand out. `host_ip` is where ports are published by default.
    `ip_forward_no_drop` keeps hardware interfaces routed to each other when we had to switch forwarding on.
    `userland_proxy` serves published ports on IPv6 addresses of the host.
    """

    bridge: str = DEFAULT_BRIDGE
    bip: str = ""
    fixed_cidr: str = ""
    address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    mtu: int = DEFAULT_MTU
    host_ip: str = "0.0.0.0"  # noqa: S104 - dockerd's default of --ip
    icc: bool = True
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masquerade: bool = True
    userland_proxy: bool = True
    spare_namespaces: int = 3


def parse_address_pool(text: str) -> AddressPool:
    """`base=10.10.0.0/16,size=24`, as --default-address-pool takes it. Raises InvalidParameter."""
    fields = dict(part.strip().partition("=")[::2] for part in text.split(","))
    if set(fields) != {"base", "size"}:
        raise InvalidParameter(f"invalid default-address-pool: {text!r} is not base=CIDR,size=NUMBER")
    try:
        pool = AddressPool(IPv4Network(fields["base"]), int(fields["size"]))
    except ValueError as error:
        raise InvalidParameter(f"invalid default-address-pool: {error}") from None
    if not pool.base.prefixlen <= pool.size <= 30:
        raise InvalidParameter(f"invalid default-address-pool: size {pool.size} does not fit into {pool.base}")
    return pool


def bridge_interface(options: NetworkOptions) -> IPv4Interface | None:
    """The bridge's own address out of --bip, None when it is ours to choose. Raises InvalidParameter."""
    if not options.bip:
        return None
    try:
        interface = IPv4Interface(options.bip)
    except ValueError as error:
        raise InvalidParameter(f"invalid bip: {error}") from None
    if interface.network.prefixlen > 30 or interface.ip == interface.network.network_address:
        raise InvalidParameter(f"invalid bip: {options.bip} is not an address of a host with a prefix up to 30")
    return interface


def fixed_range(options: NetworkOptions, subnet: IPv4Network) -> IPv4Network:
    """The part of the subnet to hand out. Raises InvalidParameter when it lies outside."""
    if not options.fixed_cidr:
        return subnet
    try:
        part = IPv4Network(options.fixed_cidr, strict=False)
    except ValueError as error:
        raise InvalidParameter(f"invalid fixed-cidr: {error}") from None
    if not part.subnet_of(subnet):
        raise InvalidParameter(f"invalid fixed-cidr: {part} is not in the bridge's subnet {subnet}")
    return part


def check(options: NetworkOptions) -> None:
    """Refuse what can never work, before anything is touched. Raises InvalidParameter."""
    name = options.bridge
    # The name also stands in nftables' language, unquoted as part of our table's name.
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= LINK_NAME_LENGTH_MAX):
        raise InvalidParameter(f"invalid bridge name: {name!r}")
    try:
        IPv4Address(options.host_ip)
    except ValueError:
        raise InvalidParameter(f"invalid ip: {options.host_ip!r} is not an IPv4 address") from None
    if not 68 <= options.mtu <= 65535:
        raise InvalidParameter(f"invalid mtu: {options.mtu}")
    bridge_interface(options)
