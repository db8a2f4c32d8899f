"""From wishes to published ports: which addresses, which port, a socket that holds each."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby

from wherry.crashpoints import crash_point
from wherry.model.errors import Conflict, InvalidParameter
from wherry.model.network import PortRequest, PublishedPort
from wherry.networks.ports import EVERYWHERE, EVERYWHERE_V6, PortBook, bracketed, is_v6, normal
from wherry.networks.reservations import reserve

# moby portmapper maxAllocatePortAttempts, for ports that the user leaves to us.
EPHEMERAL_ATTEMPTS_MAX = 10
PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True, slots=True)
class Held:
    """A published port and the descriptor that holds it; -1 where the kernel itself does not speak the protocol."""

    port: PublishedPort
    fd: int


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes for one daemon. `with_v6`: something serves IPv6 addresses of the host."""

    book: PortBook
    host_ip: str
    with_v6: bool

    def publish(self, wishes: Collection[PortRequest], container_ip: str) -> list[Held]:
        """All of them or none. Raises Conflict in dockerd's words, InvalidParameter for an unknown protocol."""
        held: list[Held] = []
        try:
            for wish, addresses in self._grouped(wishes):
                held += self._hold(wish, addresses, container_ip)
        except BaseException:
            self.withdraw(held)
            raise
        return held

    def withdraw(self, held: Collection[Held]) -> None:
        """Undo: close and give back."""
        for one in held:
            if one.fd >= 0:
                os.close(one.fd)
            self.book.release(one.port)

    def _grouped(self, wishes: Collection[PortRequest]) -> Iterator[tuple[PortRequest, tuple[str, ...]]]:
        """Wishes that differ only in their address get one port together (moby bridge needSamePort).

        Exact ports go before ranges, so that a range does not take what somebody asked for by number.
        """
        for _, group in groupby(sorted(wishes, key=_order), key=_order):
            members = list(group)
            addresses = dict.fromkeys(address for wish in members for address in self._addresses(wish))
            if members[0].protocol not in PROTOCOLS:
                raise InvalidParameter(f"invalid proto: {members[0].protocol}")
            if addresses:
                yield members[0], tuple(addresses)

    def _addresses(self, wish: PortRequest) -> tuple[str, ...]:
        # IPv6 needs the relay, and the relay knows no SCTP.
        with_v6 = self.with_v6 and wish.protocol != "sctp"
        if wish.host_ip:
            host_ip = normal(wish.host_ip)
            return (host_ip,) if with_v6 or not is_v6(host_ip) else ()
        if self.host_ip == EVERYWHERE and with_v6:
            return (EVERYWHERE, EVERYWHERE_V6)
        return (self.host_ip,)

    def _hold(self, wish: PortRequest, addresses: tuple[str, ...], container_ip: str) -> list[Held]:
        failure: Conflict | None = None
        for attempt, port in enumerate(self.book.candidates(wish, addresses)):
            if not wish.host_port_first and attempt == EPHEMERAL_ATTEMPTS_MAX:
                break
            try:
                return self._hold_one(wish, addresses, port, container_ip)
            except Conflict as error:
                failure = error
        raise failure or Conflict("all ports are allocated")

    def _hold_one(self, wish: PortRequest, addresses: tuple[str, ...], port: int, container_ip: str) -> list[Held]:
        self.book.take(wish.protocol, addresses, port)
        held: list[Held] = []
        try:
            held.extend(_reserve(wish, address, port, container_ip) for address in addresses)
            crash_point("network.port-reserved")
        except BaseException:
            self.withdraw(held)
            for address in addresses[len(held) :]:
                self.book.release(_published(wish, address, port))
            raise
        return held


def _order(wish: PortRequest) -> tuple[bool, int, int, int, int]:
    last = wish.host_port_last or wish.host_port_first
    is_range = wish.host_port_first == 0 or wish.host_port_first != last
    protocol = PROTOCOLS.index(wish.protocol) if wish.protocol in PROTOCOLS else len(PROTOCOLS)
    return is_range, wish.container_port, protocol, wish.host_port_first, last


def _reserve(wish: PortRequest, address: str, port: int, container_ip: str) -> Held:
    try:
        # The proxy listens on the sockets of IPv6; packets for the others never reach theirs.
        reserved = reserve(wish.protocol, address, port, deaf=not is_v6(address))
    except Conflict as error:
        raise Conflict(f"failed to bind host port {_words(wish, address, port, container_ip)}: {error}") from None
    return Held(_published(wish, address, port), -1 if reserved is None else reserved.detach())


def _words(wish: PortRequest, address: str, port: int, container_ip: str) -> str:
    first, last = wish.host_port_first, wish.host_port_last or wish.host_port_first
    target = f"{container_ip}:{wish.container_port}/{wish.protocol}"
    if first == last and first:
        return f"for {bracketed(address)}:{first}:{target}"
    return f"{port} for {bracketed(address)}:{first}-{last}:{target}"


def _published(wish: PortRequest, address: str, port: int) -> PublishedPort:
    return PublishedPort(container_port=wish.container_port, protocol=wish.protocol, host_ip=address, host_port=port)
