"""Finding what is wrong with links, rules, addresses and ports while the networks are up, and mending it."""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address

from wherry.linux.netlink import address, link
from wherry.model.errors import NotFound
from wherry.model.finding import Finding
from wherry.model.network import Attachment, Endpoint
from wherry.networks.bridge import Bridge
from wherry.networks.ground import Ground, mend_rules, repair
from wherry.networks.plan import LINK_GROUP

LINK = "network link"
BRIDGE = "network bridge"
ENDPOINT = "network endpoint"
RULE = "firewall rule"
ADDRESS = "network address"
PORT = "published port"

_REMOVE = "remove it"


def audit(ground: Ground, attached: Collection[Attachment], *, joining: bool) -> list[Finding]:
    """What the kernel and our books have and nobody uses, and the reverse. Changes nothing. Raises OSError.

    `joining`: a container is just being put on its networks, so that ports may be taken and not yet be anybody's.
    """
    links = {found.name: found for found in link.all_links(ground.route)}
    endpoints = [endpoint for attachment in attached for endpoint in attachment.endpoints if endpoint.host_interface]
    found = [*_strays(ground, links, endpoints), *_bridges(ground, links), *_endpoints(ground, links, endpoints)]
    found += [*_rules(ground), *_addresses(ground)]
    return found if joining else [*found, *_ports(ground, attached)]


def mend(ground: Ground, attached: Collection[Attachment], finding: Finding) -> None:
    """Do what the finding's remedy says. Raises OSError, NotFound when it is in use by now."""
    match finding.kind:
        case "network link":
            if any(finding.name in bridge.links for bridge in ground.bridges.values()):
                raise NotFound(f"link {finding.name} is in use now")
            ground.route.transact([link.delete(finding.name)])
        case "firewall rule":
            mend_rules(ground)
        case "network address":
            for bridge in ground.bridges.values():
                if IPv4Address(finding.name) not in bridge.links.values():
                    bridge.addresses.release(IPv4Address(finding.name))
        case "published port":
            ground.publisher.book.forget(finding.name)
        case _:
            repair(ground, attached)


def _strays(ground: Ground, links: dict[str, link.Link], endpoints: list[Endpoint]) -> Iterator[Finding]:
    """Ends of ours in our bridges that nobody asked for, or that were given back."""
    wanted = {name for bridge in ground.bridges.values() for name in bridge.links}
    wanted |= {endpoint.host_interface for endpoint in endpoints}
    ours = {bridge.link.index: bridge.link.name for bridge in ground.bridges.values()}
    for name, found in sorted(links.items()):
        if found.group == LINK_GROUP and found.master in ours and name not in wanted:
            problem = f"it is in bridge {ours[found.master]} and no container has it"
            yield Finding(kind=LINK, name=name, problem=problem, remedy=_REMOVE)


def _bridges(ground: Ground, links: dict[str, link.Link]) -> Iterator[Finding]:
    present = {(found.link, found.address) for found in address.addresses(ground.route)}
    for bridge in ground.bridges.values():
        found = links.get(bridge.link.name)
        problem = _problem_of(bridge, found, present)
        if problem:
            yield Finding(kind=BRIDGE, name=bridge.link.name, problem=problem, remedy="raise it again")


def _problem_of(bridge: Bridge, found: link.Link | None, present: set[tuple[int, str]]) -> str:
    if found is None:
        return "it is gone"
    if not found.is_up:
        return "it is down"
    return "" if (found.index, bridge.gateway) in present else f"it lost its address {bridge.gateway}"


def _endpoints(ground: Ground, links: dict[str, link.Link], endpoints: list[Endpoint]) -> Iterator[Finding]:
    """Containers that are cut off."""
    for endpoint in endpoints:
        bridge = ground.bridges.get(endpoint.network_id)
        found = links.get(endpoint.host_interface)
        if found is None:
            problem = f"the link of the container with address {endpoint.ip_address} is gone: restart the container"
            yield Finding(kind=ENDPOINT, name=endpoint.host_interface, problem=problem)
        elif bridge is not None and found.master != bridge.link.index:
            problem = f"it is no port of bridge {bridge.link.name}"
            yield Finding(kind=ENDPOINT, name=endpoint.host_interface, problem=problem, remedy="make it one")


def _rules(ground: Ground) -> Iterator[Finding]:
    """Our table against what it shall be: each element that is too many or missing, and each chain that was touched."""
    if not ground.bridges:
        return
    wanted, present = ground.firewall.wanted_content(), ground.firewall.present_content()
    for place, element in sorted(present - wanted):
        yield Finding(kind=RULE, name=f"{place} {element}", problem="no container needs it", remedy=_REMOVE)
    for place, element in sorted(wanted - present):
        yield Finding(kind=RULE, name=f"{place} {element}", problem="it is missing", remedy="add it")


def _addresses(ground: Ground) -> Iterator[Finding]:
    for bridge in ground.bridges.values():
        used = {*bridge.links.values(), IPv4Address(bridge.gateway)}
        for given in sorted(set(bridge.addresses.taken()) - used):
            yield Finding(kind=ADDRESS, name=str(given), problem="it is taken and nobody has it", remedy="free it")


def _ports(ground: Ground, attached: Collection[Attachment]) -> Iterator[Finding]:
    used = {ground.publisher.book.name(port) for attachment in attached for port in attachment.ports}
    for name in sorted(ground.publisher.book.names() - used):
        yield Finding(kind=PORT, name=name, problem="it is taken and no container has it", remedy="free it")
