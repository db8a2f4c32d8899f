"""Which ports of which host addresses are whose: dockerd's port allocator, without any socket."""

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

from wherry.model.errors import Conflict, InvalidParameter
from wherry.model.network import PortRequest, PublishedPort

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the address of a wish, not of a socket
EVERYWHERE_V6 = "::"
_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
_RESERVED_FILE = "/proc/sys/net/ipv4/ip_local_reserved_ports"
# moby portallocator: when the kernel does not say.
_FALLBACK_RANGE = (49153, 65535)


def ephemeral_range() -> tuple[int, int]:
    """First and last port of those that are given out when the user names none (ip_local_port_range)."""
    try:
        with open(_RANGE_FILE, encoding="ascii") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        return _FALLBACK_RANGE
    return first, last


def reserved_ports() -> frozenset[int]:
    """Ports that the administrator keeps from being given out by themselves (ip_local_reserved_ports)."""
    try:
        with open(_RESERVED_FILE, encoding="ascii") as file:
            words = file.read().strip()
    except OSError:
        return frozenset()
    found: set[int] = set()
    for part in filter(None, words.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


class PortBook:
    """The ports in use by containers of this daemon, by protocol and number, with the addresses they are taken on."""

    def __init__(self) -> None:
        """Nothing is taken."""
        self._taken: dict[tuple[str, int], set[str]] = {}
        # Where the last search in a range ended: the next begins after it, as dockerd's does.
        self._last: dict[tuple[str, int, int], int] = {}

    def is_free(self, protocol: str, host_ip: str, port: int) -> bool:
        """Whether nobody holds it there, or on all addresses of that family."""
        return not any(_collide(host_ip, other) for other in self._taken.get((protocol, port), ()))

    def take(self, protocol: str, addresses: tuple[str, ...], port: int) -> None:
        """Take one port on all the addresses. Raises Conflict in dockerd's words; nothing is taken then."""
        for address in addresses:
            if not self.is_free(protocol, address, port):
                raise Conflict(f"Bind for {address}:{port} failed: port is already allocated")
        self._taken.setdefault((protocol, port), set()).update(addresses)

    def release(self, port: PublishedPort) -> None:
        """Give it back. Safe to repeat."""
        key = (port.protocol, port.host_port)
        holders = self._taken.get(key, set())
        holders.discard(port.host_ip)
        if not holders:
            self._taken.pop(key, None)

    def name(self, port: PublishedPort) -> str:
        """How one is called among all of them, such as `0.0.0.0:8080/tcp`."""
        return f"{bracketed(port.host_ip)}:{port.host_port}/{port.protocol}"

    def names(self) -> set[str]:
        """All that are taken, by name."""
        return {
            f"{bracketed(address)}:{port}/{protocol}"
            for (protocol, port), addresses in self._taken.items()
            for address in addresses
        }

    def forget(self, name: str) -> None:
        """Give back one of the names. Safe to repeat."""
        place, _, protocol = name.rpartition("/")
        host_ip, _, port = place.rpartition(":")
        self.release(
            PublishedPort(container_port=0, protocol=protocol, host_ip=host_ip.strip("[]"), host_port=int(port))
        )

    def candidates(self, wish: PortRequest, addresses: tuple[str, ...]) -> Iterator[int]:
        """The ports to try, each once: the wished one, the free ones of the wished range, or free ephemeral ones."""
        first, last = wish.host_port_first, wish.host_port_last or wish.host_port_first
        if first and first == last:
            yield first
            return
        skipped: frozenset[int] = frozenset()
        if not first:
            first, last = ephemeral_range()
            skipped = reserved_ports()
        key = (wish.protocol, first, last)
        begin = self._last.get(key, last)
        for step in range(last - first + 1):
            port = first + (begin - first + 1 + step) % (last - first + 1)
            if port not in skipped and all(self.is_free(wish.protocol, address, port) for address in addresses):
                self._last[key] = port
                yield port


def _collide(one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = ip_address(one), ip_address(other)
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)


def normal(host_ip: str) -> str:
    """An address in its usual spelling, so that two spellings are one address. Raises InvalidParameter."""
    try:
        return str(ip_address(host_ip))
    except ValueError:
        raise InvalidParameter(f"invalid IP address: {host_ip}") from None


def is_v6(host_ip: str) -> bool:
    """Whether it is an address of IPv6."""
    return isinstance(ip_address(host_ip), IPv6Address)


def bracketed(host_ip: str) -> str:
    """An address as it stands before a colon and a port."""
    return f"[{host_ip}]" if ":" in host_ip else host_ip
