"""What the networks of a daemon stand on: sockets to the kernel, bridges, rules, spare namespaces; raised and mended.

Desired (options, records, what is attached) and discovered (links, addresses, the old table) meet in `open_ground`;
it leaves the kernel as desired whatever it found, also after a crash, a flushed firewall or a deleted bridge.
"""

import logging
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.linux.netlink import link
from wherry.linux.netlink.connection import NETLINK_NETFILTER, Connection
from wherry.linux.nftables import Nftables
from wherry.model.errors import EngineError
from wherry.model.network import Attachment, Endpoint, PublishedPort
from wherry.networks import docker_user, sysctl
from wherry.networks.bridge import Bridge, address_for_default, describe_default, raise_bridge
from wherry.networks.catalogue import BRIDGE, Catalogue
from wherry.networks.claim import Claim
from wherry.networks.firewall import Firewall, Mapping, table_name
from wherry.networks.namespaces import NamespaceMaker
from wherry.networks.options import DISABLED_BRIDGE, NetworkOptions
from wherry.networks.plan import LINK_GROUP
from wherry.networks.ports import PortBook, is_v6
from wherry.networks.proxy import Proxy
from wherry.networks.publish import Publisher
from wherry.networks.relay import Relay
from wherry.networks.spares import Bare, OnBridge, Spares
from wherry.networks.teardown import Teardown
from wherry.networks.watch import RulesWatch

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ground:
    """All that is open. `bridges` are by network id."""

    options: NetworkOptions
    route: Connection
    netfilter: Connection
    nftables: Nftables
    firewall: Firewall
    maker: NamespaceMaker
    teardown: Teardown
    publisher: Publisher
    proxy: Proxy | None
    bridges: dict[str, Bridge]
    spares: Spares | None = None
    bare_spares: Spares | None = None
    watch: RulesWatch | None = None
    claim: Claim | None = None


async def open_ground(
    options: NetworkOptions, catalogue: Catalogue, attached: Collection[Attachment], proxy_path: Path
) -> Ground:
    """Raise everything. Raises OSError in the kernel's words, InvalidParameter for options that do not fit."""
    with ExitStack() as undo:
        ground = _connect(options, proxy_path, undo)
        if options.bridge != DISABLED_BRIDGE:
            ground.claim = Claim(options.bridge)
            undo.callback(ground.claim.release)
            await _raise_default(ground, catalogue)
        for attachment in attached:
            _adopt(ground, attachment)
        crash_point("open.bridge-raised")
        mend_links(ground, attached)
        mend_rules(ground)
        crash_point("open.rules-mended")
        if ground.proxy is not None:
            await ground.proxy.open([relay for attachment in attached for relay in relays(attachment)])
        if ground.bridges:
            ground.watch = RulesWatch(ground.firewall.table, lambda: mend_rules(ground))
            undo.callback(ground.watch.close)
        ground.maker.start()
        start_spares(ground)
        undo.pop_all()
        return ground


def _connect(options: NetworkOptions, proxy_path: Path, undo: ExitStack) -> Ground:
    route = Connection()
    undo.callback(route.close)
    netfilter = Connection(NETLINK_NETFILTER)
    undo.callback(netfilter.close)
    nftables = Nftables()
    undo.callback(nftables.close)
    teardown = Teardown()
    undo.callback(teardown.abandon)
    proxy = Proxy(proxy_path) if options.userland_proxy else None
    return Ground(
        options=options,
        route=route,
        netfilter=netfilter,
        nftables=nftables,
        firewall=Firewall(nftables, table_name(options.bridge)),
        maker=NamespaceMaker(),
        teardown=teardown,
        publisher=Publisher(PortBook(), options.host_ip, proxy is not None),
        proxy=proxy,
        bridges={},
    )


async def _raise_default(ground: Ground, catalogue: Catalogue) -> None:
    network = catalogue.find(BRIDGE)
    interface = address_for_default(ground.route, network, ground.options)
    network = describe_default(network, ground.options, interface)
    ground.bridges[network.id] = raise_bridge(ground.route, network)
    await catalogue.put(network)


def _adopt(ground: Ground, attachment: Attachment) -> None:
    """Take what a running container has: its addresses, its ports."""
    for endpoint in attachment.endpoints:
        bridge = ground.bridges.get(endpoint.network_id)
        if bridge is not None and endpoint.ip_address:
            try:
                bridge.adopt(endpoint)
            except EngineError as error:
                _log.warning("address %s of a running container: %s", endpoint.ip_address, error)
    for port in attachment.ports:
        try:
            ground.publisher.book.take(port.protocol, (port.host_ip,), port.host_port)
        except EngineError as error:
            _log.warning("published port of a running container: %s", error)
    ground.firewall.mappings.update(mappings(attachment))


def mend_links(ground: Ground, attached: Collection[Attachment]) -> None:
    """Every link of a running container is a port of its bridge, and no other link of ours is there. Raises OSError."""
    endpoints = {
        endpoint.host_interface: endpoint
        for attachment in attached
        for endpoint in attachment.endpoints
        if endpoint.host_interface
    }
    bridges = {bridge.link.index for bridge in ground.bridges.values()}
    for found in link.all_links(ground.route):
        endpoint = endpoints.get(found.name)
        if endpoint is not None:
            _rejoin(ground, found, endpoint)
        elif found.group == LINK_GROUP and found.master in bridges:
            ground.teardown.delete(found.name, lambda: None)


def _rejoin(ground: Ground, found: link.Link, endpoint: Endpoint) -> None:
    bridge = ground.bridges.get(endpoint.network_id)
    if bridge is not None and found.master != bridge.link.index:
        ground.route.transact([link.set_master(found.index, bridge.link.index)])


def mend_rules(ground: Ground) -> None:
    """The table is as it shall be, packets are forwarded, dockerd's rules let them pass. Raises OSError."""
    firewall, options = ground.firewall, ground.options
    if not ground.bridges:
        return
    firewall.bridges = tuple(bridge.rules for bridge in ground.bridges.values())
    switching_on = options.ip_forward and sysctl.read("ipv4/ip_forward") == "0"
    firewall.uplinks = _uplinks(ground, switching_on=switching_on)
    firewall.apply()
    if switching_on:
        # After the table, so that nothing passes in between.
        sysctl.write("ipv4/ip_forward", "1")
    for bridge in ground.bridges.values():
        docker_user.accept(ground.nftables, bridge.link.name)
    if docker_user.is_forwarding_blocked(ground.nftables):
        _log.warning("the host's firewall drops forwarded packets by policy: containers may not reach the outside")


def _uplinks(ground: Ground, *, switching_on: bool) -> tuple[str, ...]:
    """Hardware that was not routed to other hardware before us shall not be because of us.

    dockerd turns iptables' FORWARD policy to `drop` for that, which hits everybody else; links made by software
    (bridges, tunnels, other engines) are not named here, so theirs passes.
    """
    if ground.options.ip_forward_no_drop or not ground.options.ip_forward:
        return ()
    before = ground.firewall.found_uplinks()
    if not switching_on:
        return before
    hardware = [found.name for found in link.all_links(ground.route) if not found.kind and found.name != "lo"]
    return tuple(dict.fromkeys((*before, *hardware)))


def start_spares(ground: Ground) -> None:
    """Begin to keep namespaces ready for the default bridge."""
    default = [bridge for bridge in ground.bridges.values() if bridge.is_default]
    if default and ground.options.spare_namespaces:
        supply = OnBridge(default[0])
        ground.spares = Spares(ground.maker, supply, supply.count(ground.options.spare_namespaces))
        ground.spares.refill()
    if ground.bare_spares is None:
        # Made from the first container without a network on: many a host never has one.
        ground.bare_spares = Spares(ground.maker, Bare(), ground.options.spare_namespaces)


def repair(ground: Ground, attached: Collection[Attachment]) -> None:
    """Put back what somebody else removed while we ran: bridges, ports of bridges, rules. Raises OSError."""
    for network_id, bridge in ground.bridges.items():
        raised = raise_bridge(ground.route, bridge.network)
        # Who has which address is known here; only the link may be another one.
        ground.bridges[network_id] = replace(bridge, link=raised.link)
    if ground.spares is not None:
        ground.spares.close()
        ground.spares = None
    mend_links(ground, attached)
    mend_rules(ground)
    start_spares(ground)


async def close_ground(ground: Ground, attached: Collection[Attachment]) -> None:
    """Let go; bridges, rules and what containers use stay."""
    if ground.watch is not None:
        ground.watch.close()
    for spares in (ground.spares, ground.bare_spares):
        if spares is not None:
            spares.close()
    await ground.maker.close()
    # What the maker was still busy with when it was told to end, too.
    mend_links(ground, attached)
    await ground.teardown.close()
    if ground.proxy is not None:
        await ground.proxy.close()
    if ground.claim is not None:
        ground.claim.release()
    ground.nftables.close()
    ground.netfilter.close()
    ground.route.close()


def mappings(attachment: Attachment) -> list[Mapping]:
    """The published ports that the kernel forwards: those of IPv4."""
    address = _container_ip(attachment)
    return [mapping(port, address) for port in attachment.ports if address and not is_v6(port.host_ip)]


def mapping(port: PublishedPort, container_ip: str) -> Mapping:
    """One published port as the firewall knows it."""
    return Mapping(port.protocol, port.host_ip, port.host_port, container_ip, port.container_port)


def relays(attachment: Attachment) -> list[Relay]:
    """The published ports that the relay process serves: those of IPv6."""
    address = _container_ip(attachment)
    return [relay(port, address) for port in attachment.ports if address and is_v6(port.host_ip)]


def relay(port: PublishedPort, container_ip: str) -> Relay:
    """One published port as the relay process knows it."""
    return Relay(
        protocol=port.protocol,
        host_ip=port.host_ip,
        host_port=port.host_port,
        container_ip=container_ip,
        container_port=port.container_port,
    )


def _container_ip(attachment: Attachment) -> str:
    # Ports are published on the first endpoint that has an address: the one with the default route.
    return next((endpoint.ip_address for endpoint in attachment.endpoints if endpoint.ip_address), "")
