"""Putting a container on its networks: addresses, a namespace with interfaces, published ports; or nothing at all."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from wherry.crashpoints import crash_point
from wherry.linux.netlink import conntrack
from wherry.model.config import EndpointRequest
from wherry.model.errors import Conflict, EngineError, InvalidParameter, Unavailable
from wherry.model.ids import new_id
from wherry.model.network import Endpoint, Network, PublishedPort
from wherry.networks.bridge import Bridge
from wherry.networks.driver import JoinRequest
from wherry.networks.ground import Ground, mapping, relay
from wherry.networks.plan import BASE_SYSCTLS, Interface, Make
from wherry.networks.ports import is_v6
from wherry.networks.publish import Held
from wherry.networks.spares import Spare, Spares
from wherry.networks.wishes import interface_name, interface_sysctls, link_local_addresses

MAC_BYTES = 6


@dataclass(frozen=True, slots=True)
class Place:
    """One endpoint wanted: on which network, with which wishes."""

    network: Network
    wish: EndpointRequest
    mac_address: str = ""


async def enter(
    ground: Ground, request: JoinRequest, places: list[Place], undo: AsyncExitStack
) -> tuple[int, list[Endpoint]]:
    """A namespace on all these networks and its endpoints. What is acquired is given back by `undo`."""
    bridges = [(place, _bridge(ground, place)) for place in places if place.network.driver == "bridge"]
    for place, bridge in bridges:
        _check(place, bridge)
    request = _with_sysctls_of_interfaces(request, [place for place, _ in bridges])
    if len(bridges) <= 1 and all(_may_be_spare(*found) for found in bridges):
        spare = await _from_spares(ground, ground.spares if bridges else ground.bare_spares, request, undo)
        if spare is not None:
            return spare.netns_fd, _endpoints(places, [*spare.interfaces])
    interfaces = [await _interface(ground, number, *found, undo) for number, found in enumerate(bridges)]
    sysctls = (*BASE_SYSCTLS, *request.sysctls)
    with _told():
        netns = await ground.maker.make(Make(interfaces=tuple(interfaces), sysctls=sysctls))
    undo.callback(os.close, netns)
    crash_point("network.namespace-made")
    return netns, _endpoints(places, interfaces)


def _with_sysctls_of_interfaces(request: JoinRequest, places: list[Place]) -> JoinRequest:
    """Raises InvalidParameter."""
    names = [(place.wish, interface_name(place.wish, number)) for number, place in enumerate(places)]
    more = [pair for wish, name in names for pair in interface_sysctls(wish, name)]
    return replace(request, sysctls=(*request.sysctls, *more)) if more else request


@contextmanager
def _told() -> Iterator[None]:
    """Say what it was for that the kernel refused."""
    try:
        yield
    except EngineError as error:
        words = f"failed to set up container networking: failed to add interface to sandbox: {error}"
        raise EngineError(words) from None


def _bridge(ground: Ground, place: Place) -> Bridge:
    bridge = ground.bridges.get(place.network.id)
    if bridge is None:
        raise Unavailable(f"network {place.network.name} is not up")
    return bridge


def _check(place: Place, bridge: Bridge) -> None:
    """Raises InvalidParameter in dockerd's words."""
    problems = _problems_on_default(place.wish) if bridge.is_default else []
    if problems:
        listed = "".join(f"\n* {problem}" for problem in problems)
        raise InvalidParameter(f"invalid config for network {place.network.name}: invalid endpoint settings:{listed}")
    mac = place.mac_address
    if mac and not _is_mac(mac):
        raise InvalidParameter(f"invalid MAC address: {mac}")


def _problems_on_default(wish: EndpointRequest) -> list[str]:
    problems = []
    if wish.ipam_config is not None and (wish.ipam_config.ipv4_address or wish.ipam_config.ipv6_address):
        problems += [
            "user specified IP address is supported on user defined networks only",
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ]
    if wish.aliases:
        problems.append("network-scoped alias is supported only for containers in user defined networks")
    return problems


def _is_mac(text: str) -> bool:
    parts = text.replace("-", ":").split(":")
    return len(parts) == MAC_BYTES and all(len(part) == 2 and _is_hex(part) for part in parts)


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdefABCDEF" for digit in text)


def _may_be_spare(place: Place, bridge: Bridge) -> bool:
    has_a_wish = place.mac_address or link_local_addresses(place.wish) or interface_name(place.wish, 0) != "eth0"
    return bridge.is_default and not has_a_wish


async def _from_spares(
    ground: Ground, spares: Spares | None, request: JoinRequest, undo: AsyncExitStack
) -> Spare | None:
    spare = await spares.take() if spares is not None else None
    if spare is None:
        return None
    undo.callback(os.close, spare.netns_fd)
    crash_point("network.spare-taken")
    for interface in spare.interfaces:
        _give_back_later(ground, _default(ground), interface, undo)
    # Its own came with it when it was made.
    further = tuple(pair for pair in request.sysctls if pair not in BASE_SYSCTLS)
    if further:
        with _told():
            await ground.maker.tune(spare.netns_fd, further)
    return spare


def _default(ground: Ground) -> Bridge:
    return next(bridge for bridge in ground.bridges.values() if bridge.is_default)


async def _interface(ground: Ground, number: int, place: Place, bridge: Bridge, undo: AsyncExitStack) -> Interface:
    given = await _address(ground, place, bridge)
    interface = bridge.interface(
        name=interface_name(place.wish, number),
        given=given,
        mac=place.mac_address.replace("-", ":").lower(),
        is_default_route=number == 0 and not place.network.internal,
        link_local=link_local_addresses(place.wish),
    )
    _give_back_later(ground, bridge, interface, undo)
    return interface


async def _address(ground: Ground, place: Place, bridge: Bridge) -> IPv4Address:
    wish = place.wish.ipam_config
    if wish is not None and wish.ipv4_address:
        return bridge.addresses.claim(wish.ipv4_address)
    label = f"{place.network.name} ({place.network.id})"
    try:
        return bridge.addresses.take(label)
    except Unavailable:
        if not ground.teardown.is_busy:
            raise
    # Addresses of containers that just ended come free with their links.
    await ground.teardown.drain()
    await asyncio.sleep(0)
    return bridge.addresses.take(label)


def _give_back_later(ground: Ground, bridge: Bridge, interface: Interface, undo: AsyncExitStack) -> None:
    given = IPv4Address(interface.address)
    undo.callback(ground.teardown.delete, interface.host_name, lambda: bridge.release(interface.host_name, given))


def _endpoints(places: list[Place], interfaces: list[Interface]) -> list[Endpoint]:
    remaining = iter(interfaces)
    return [
        _on_bridge(place.network, next(remaining)) if place.network.driver == "bridge" else _without(place.network)
        for place in places
    ]


def _on_bridge(network: Network, interface: Interface) -> Endpoint:
    return Endpoint(
        id=new_id(),
        network_id=network.id,
        network_name=network.name,
        mac_address=interface.mac,
        ip_address=interface.address,
        ip_prefix=interface.prefix,
        gateway=network.pools[0].gateway,
        host_interface=interface.host_name,
    )


def _without(network: Network) -> Endpoint:
    return Endpoint(id=new_id(), network_id=network.id, network_name=network.name)


async def publish(
    ground: Ground, request: JoinRequest, endpoint: Endpoint, undo: AsyncExitStack
) -> tuple[tuple[PublishedPort, ...], tuple[int, ...]]:
    """The published ports, and the descriptors that hold them. Raises EngineError in dockerd's words."""
    try:
        held = ground.publisher.publish(request.ports, endpoint.ip_address)
    except Conflict as error:
        # A port that is taken is not a conflict of names: dockerd answers 500.
        raise EngineError(_failed(request, endpoint, error)) from None
    undo.callback(ground.publisher.withdraw, held)
    forwarded = [mapping(one.port, endpoint.ip_address) for one in held if not is_v6(one.port.host_ip)]
    ground.firewall.publish(forwarded)
    undo.callback(ground.firewall.withdraw, forwarded)
    for port in {one.host_port for one in forwarded if one.protocol == "udp"}:
        # A client that goes on sending would for ever be tracked to whoever had the port before.
        conntrack.forget_sent_to(ground.netfilter, socket.IPPROTO_UDP, port)
    relayed = [one for one in held if is_v6(one.port.host_ip)]
    await _relay(ground, relayed, endpoint.ip_address, undo)
    for one in relayed:
        # The relay process has its own copy now; nothing can fail any more.
        os.close(one.fd)
    reservations = tuple(one.fd for one in held if one.fd >= 0 and one not in relayed)
    return tuple(one.port for one in held), reservations


async def _relay(ground: Ground, held: list[Held], container_ip: str, undo: AsyncExitStack) -> None:
    proxy = ground.proxy
    for one in held:
        assert proxy is not None
        wanted = relay(one.port, container_ip)
        undo.push_async_callback(proxy.drop, [wanted])
        await proxy.serve(wanted, one.fd)


def _failed(request: JoinRequest, endpoint: Endpoint, reason: Exception) -> str:
    return (
        "failed to set up container networking: driver failed programming external connectivity on endpoint "
        f"{request.name or request.container_id} ({endpoint.id}): {reason}"
    )
