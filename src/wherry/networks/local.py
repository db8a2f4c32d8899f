"""The networks of one daemon on one host, as the engine asks for them."""

import os
import socket
from collections.abc import Collection
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.linux.netlink import conntrack
from wherry.model.errors import Unavailable
from wherry.model.finding import Finding
from wherry.model.ids import new_id
from wherry.model.network import Attachment, Endpoint, Network, PortRequest, PublishedPort
from wherry.networks import audit
from wherry.networks.catalogue import BRIDGE, HOST, Catalogue, NetworkRecords
from wherry.networks.driver import JoinRequest, Published, Sandbox
from wherry.networks.ground import Ground, close_ground, mappings, open_ground, relays, repair
from wherry.networks.joining import Place, enter, publish
from wherry.networks.options import DISABLED_BRIDGE, NetworkOptions, check
from wherry.networks.ports import normal

PROXY_SOCKET = "relay.sock"


class LocalNetworks:
    """Satisfies `networks.driver.Networks`. Belongs to the network namespace it is opened in."""

    def __init__(self, options: NetworkOptions, records: NetworkRecords, exec_root: Path) -> None:
        """`exec_root` must be a directory that only root enters. Raises InvalidParameter for options that cannot be."""
        check(options)
        self._options = options
        hidden = frozenset({BRIDGE}) if options.bridge == DISABLED_BRIDGE else frozenset[str]()
        self._catalogue = Catalogue(records, hidden=hidden)
        self._exec_root = exec_root
        self._ground: Ground | None = None
        self._attached: dict[str, Attachment] = {}
        self._joining = 0

    async def open(self, attached: Collection[Attachment]) -> None:
        """Make the kernel match. When open already, repair what others removed; `attached` is known then.

        Raises OSError in the kernel's words, InvalidParameter for options that do not fit this host, Unavailable
        when no subnet is free.
        """
        if self._ground is not None:
            repair(self._ground, list(self._attached.values()))
            return
        await self._catalogue.open()
        self._ground = await open_ground(self._options, self._catalogue, attached, self._exec_root / PROXY_SOCKET)
        self._attached = {attachment.sandbox_id: attachment for attachment in attached}

    async def close(self) -> None:
        """Let go of sockets and spare namespaces; what running containers use stays. Safe to repeat."""
        ground, self._ground = self._ground, None
        if ground is not None:
            await close_ground(ground, list(self._attached.values()))

    async def join(self, request: JoinRequest) -> Sandbox:
        """Make a sandbox. Raises NotFound (network), Conflict (address, port), InvalidParameter, Unavailable."""
        self._joining += 1
        try:
            return await self._join(request)
        finally:
            self._joining -= 1

    async def _join(self, request: JoinRequest) -> Sandbox:
        ground = self._opened()
        places = self._places(request)
        if any(place.network.name == HOST for place in places):
            return self._on_host(places)
        async with AsyncExitStack() as undo:
            netns, endpoints = await enter(ground, request, places, undo)
            ports: tuple[PublishedPort, ...] = ()
            reservations: tuple[int, ...] = ()
            addressed = next((endpoint for endpoint in endpoints if endpoint.ip_address), None)
            if addressed is not None and request.ports:
                ports, reservations = await publish(ground, request, addressed, undo)
            attachment = Attachment(sandbox_id=new_id(), endpoints=tuple(endpoints), ports=ports)
            undo.pop_all()
        crash_point("network.joined")
        self._attached[attachment.sandbox_id] = attachment
        return Sandbox(netns_fd=netns, attachment=attachment, reservations=reservations)

    async def publish(self, attachment: Attachment, request: JoinRequest) -> Published:
        """See Networks."""
        ground = self._opened()
        addressed = next(endpoint for endpoint in attachment.endpoints if endpoint.ip_address)
        async with AsyncExitStack() as undo:
            ports, reservations = await publish(ground, request, addressed, undo)
            undo.pop_all()
        grown = replace(attachment, ports=(*attachment.ports, *ports))
        self._attached[attachment.sandbox_id] = grown
        return Published(attachment=grown, ports=ports, reservations=reservations)

    async def unpublish(self, attachment: Attachment, ports: Collection[PublishedPort]) -> Attachment:
        """See Networks."""
        left = replace(attachment, ports=tuple(port for port in attachment.ports if port not in ports))
        if attachment.sandbox_id in self._attached:
            self._attached[attachment.sandbox_id] = left
            gone = replace(attachment, ports=tuple(port for port in attachment.ports if port in ports))
            await self._withdraw(self._opened(), gone)
        return left

    async def leave(self, attachment: Attachment) -> None:
        """Undo a join. Safe to repeat. The links are deleted after the answer, their addresses free after that."""
        ground = self._opened()
        if self._attached.pop(attachment.sandbox_id, None) is None:
            return
        crash_point("network.leaving")
        await self._withdraw(ground, attachment)
        for endpoint in attachment.endpoints:
            self._detach(ground, endpoint)
            crash_point("network.endpoint-detached")

    async def _withdraw(self, ground: Ground, attachment: Attachment) -> None:
        """Take back all ports of an attachment."""
        forwarded = mappings(attachment)
        ground.firewall.withdraw(forwarded)
        crash_point("network.rules-withdrawn")
        for address in {one.container_ip for one in forwarded if one.protocol == "udp"}:
            conntrack.forget_answers_of(ground.netfilter, socket.inet_aton(address))
        if ground.proxy is not None:
            await ground.proxy.drop(relays(attachment))
        for port in attachment.ports:
            ground.publisher.book.release(port)

    def networks(self) -> list[Network]:
        """All networks: bridge (unless it is disabled), host and none are always there."""
        return self._catalogue.networks()

    def find(self, name_or_id: str) -> Network:
        """By id, name or unique id prefix. Raises NotFound `network X not found`, InvalidParameter when ambiguous."""
        return self._catalogue.find(name_or_id)

    def port_bindings_are_free(self, ports: Collection[PortRequest]) -> bool:
        """Whether the fixed host ports of `ports` are not taken by another container now."""
        publisher = self._opened().publisher
        return all(
            publisher.book.is_free(wish.protocol, normal(wish.host_ip or self._options.host_ip), wish.host_port_first)
            for wish in ports
            if wish.host_port_first and wish.host_port_last in (0, wish.host_port_first)
        )

    def audit(self) -> list[Finding]:
        """See Networks. Raises OSError."""
        return audit.audit(self._opened(), list(self._attached.values()), joining=self._joining > 0)

    def mend(self, finding: Finding) -> None:
        """See Networks. Raises NotFound, OSError."""
        audit.mend(self._opened(), list(self._attached.values()), finding)

    @property
    def gateway(self) -> str:
        """The default bridge's own address: what `host-gateway` in --add-host means. Empty when it is disabled."""
        bridges = self._opened().bridges.values()
        return next((bridge.gateway for bridge in bridges if bridge.is_default), "")

    def _opened(self) -> Ground:
        if self._ground is None:
            raise Unavailable("the networks are not open")
        return self._ground

    def _places(self, request: JoinRequest) -> list[Place]:
        """The endpoints wanted, the one with the highest gateway priority first: it gets the default route."""
        places = [
            Place(
                self.find(name), wish, wish.mac_address or (request.mac_address if len(request.endpoints) == 1 else "")
            )
            for name, wish in request.endpoints.items()
        ]
        return sorted(places, key=lambda place: -place.wish.gw_priority)

    def _on_host(self, places: list[Place]) -> Sandbox:
        endpoints = tuple(
            Endpoint(id=new_id(), network_id=place.network.id, network_name=place.network.name) for place in places
        )
        netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        attachment = Attachment(sandbox_id=new_id(), endpoints=endpoints)
        self._attached[attachment.sandbox_id] = attachment
        return Sandbox(netns_fd=netns, attachment=attachment)

    def _detach(self, ground: Ground, endpoint: Endpoint) -> None:
        bridge = ground.bridges.get(endpoint.network_id)
        if bridge is None or not endpoint.host_interface:
            return
        given = IPv4Address(endpoint.ip_address)
        ground.teardown.delete(endpoint.host_interface, lambda: bridge.release(endpoint.host_interface, given))
