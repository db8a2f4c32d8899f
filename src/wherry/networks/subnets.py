"""Choosing a subnet that nothing on this host uses, and handing out its addresses."""

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from wherry.linux.netlink import address
from wherry.linux.netlink.connection import Connection
from wherry.model.errors import Conflict, InvalidParameter, Unavailable
from wherry.networks.options import AddressPool


def in_use(route: Connection, *, except_link: int = 0) -> list[IPv4Network]:
    """What the host's addresses and routes (but the default) cover, without those of one link."""
    pairs = [(found.address, found.prefix) for found in address.addresses(route) if found.link != except_link]
    pairs += [(found.destination, found.prefix) for found in address.routes(route) if found.link != except_link]
    return [IPv4Network(pair, strict=False) for pair in pairs if pair[1] > 0]


def choose(pools: Sequence[AddressPool], taken: Collection[IPv4Network]) -> IPv4Network:
    """The first subnet of the pools that overlaps nothing. Raises Unavailable in dockerd's words."""
    for pool in pools:
        for subnet in _subnets(pool):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise Unavailable("all predefined address pools have been fully subnetted")


def _subnets(pool: AddressPool) -> Iterable[IPv4Network]:
    return pool.base.subnets(new_prefix=pool.size)


class Addresses:
    """Who has which address of a subnet: the lowest free one goes first, as dockerd's IPAM does it."""

    def __init__(self, subnet: IPv4Network, part: IPv4Network, gateway: IPv4Address) -> None:
        """Hand out of `part`, a part of `subnet`; its first, its last and the gateway's are nobody's."""
        self.subnet = subnet
        self._first = int(max(part.network_address, subnet.network_address + 1))
        self._last = int(min(part.broadcast_address, subnet.broadcast_address - 1))
        self._taken: set[int] = {int(gateway)}
        self._lowest = self._first

    @property
    def capacity(self) -> int:
        """How many could be handed out if none was."""
        return self._last - self._first + 1

    def taken(self) -> list[IPv4Address]:
        """All that somebody has, the gateway's too."""
        return [IPv4Address(number) for number in sorted(self._taken)]

    def take(self, network: str) -> IPv4Address:
        """The lowest free one. Raises Unavailable in dockerd's words about the network as `name (id)`."""
        candidate = self._lowest
        while candidate in self._taken:
            candidate += 1
        if candidate > self._last:
            raise Unavailable(f"no available IPv4 addresses on this network's address pools: {network}")
        self._taken.add(candidate)
        self._lowest = candidate + 1
        return IPv4Address(candidate)

    def claim(self, text: str) -> IPv4Address:
        """That very one. Raises InvalidParameter outside of the subnet, Conflict when it is taken."""
        try:
            wanted = IPv4Address(text)
        except ValueError:
            raise InvalidParameter(f"invalid IPv4 address: {text}") from None
        if wanted not in self.subnet:
            raise InvalidParameter(f"no configured subnet or ip-range contain the IP address {text}")
        if int(wanted) in self._taken or wanted in (self.subnet.network_address, self.subnet.broadcast_address):
            raise Conflict("Address already in use")
        self._taken.add(int(wanted))
        return wanted

    def release(self, given: IPv4Address) -> None:
        """Give it back. Safe to repeat."""
        number = int(given)
        self._taken.discard(number)
        if self._first <= number < self._lowest:
            self._lowest = number
