"""`network create`, `rm`, `connect` and `disconnect`."""

from __future__ import annotations

from wherry.cli.each import each
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, INT, LIST, STRING, STRINGS, Flag, Verb
from wherry.cli.options.declared import LABELS, MAP
from wherry.cli.options.environment import pairs
from wherry.cli.output import complain, line
from wherry.client import networks
from wherry.client.errors import ApiError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _create(session: Session, given: Given, names: list[str]) -> int:
    body: dict[str, Any] = {
        "Name": names[0],
        "Driver": given["driver"],
        "Options": pairs(given["opt"]),
        "IPAM": {"Driver": given["ipam-driver"], "Options": pairs(given["ipam-opt"]), "Config": _ranges(given)},
        "Internal": given["internal"],
        "Attachable": given["attachable"],
        "Labels": pairs(given["label"]),
    }
    for flag, field in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if flag in given.changed:
            body[field] = given[flag]
    if given["scope"]:
        body["Scope"] = given["scope"]
    answer = session.client.json(networks.create(body))
    if answer.get("Warning"):
        complain(f"WARNING: {answer['Warning']}")
    line(answer["Id"])
    return 0


def _ranges(given: Given) -> list[dict[str, Any]]:
    """Subnets with the range, gateway and reserved addresses inside each. Raises CommandError in docker's words."""
    import ipaddress

    ranges: dict[str, dict[str, Any]] = {text: {"Subnet": text} for text in given["subnet"]}
    if not ranges and (given["ip-range"] or given["gateway"]):
        raise CommandError("every ip-range or gateway must have a corresponding subnet")

    def home(address: str, what: str) -> dict[str, Any]:
        first = ipaddress.ip_interface(address).ip
        for text, found in ranges.items():
            if first in ipaddress.ip_network(text, strict=False):
                return found
        raise CommandError(f"no matching subnet for {what} {address}")

    try:
        for text in given["ip-range"]:
            home(text, "range")["IPRange"] = text
        for text in given["gateway"]:
            home(text, "gateway")["Gateway"] = text
        for name, address in pairs(given["aux-address"]).items():
            home(address, "aux-address").setdefault("AuxiliaryAddresses", {})[name] = address
    except ValueError as error:
        raise CommandError(f"invalid address: {error}") from error
    return list(ranges.values())


def _rm(session: Session, given: Given, names: list[str]) -> int:
    if not given["force"]:
        return each(session, names, networks.remove)
    statuses = [0]
    for name in names:
        try:
            session.client.send(networks.remove(name)).read()
            line(name)
        except NotFound:
            continue  # that is how it was to be
        except ApiError as error:
            complain(str(error))
            statuses.append(1)
    return max(statuses)


def _connect(session: Session, given: Given, arguments: list[str]) -> int:
    ipam = {"IPv4Address": given["ip"], "IPv6Address": given["ip6"], "LinkLocalIPs": given["link-local-ip"]}
    endpoint: dict[str, Any] = {
        "IPAMConfig": {name: value for name, value in ipam.items() if value},
        "Links": given["link"],
        "Aliases": given["alias"],
        "DriverOpts": pairs(given["driver-opt"]),
    }
    if "gw-priority" in given.changed:
        endpoint["GwPriority"] = given["gw-priority"]
    call = networks.connect(arguments[0], container=arguments[1], endpoint=endpoint)
    session.client.send(call).read()
    return 0


def _disconnect(session: Session, given: Given, arguments: list[str]) -> int:
    call = networks.disconnect(arguments[0], container=arguments[1], force=given["force"])
    session.client.send(call).read()
    return 0


CREATE = Verb(
    "[OPTIONS] NETWORK",
    _create,
    Flag("attachable", "", BOOL, "Let containers be attached by hand"),
    Flag("aux-address", "", MAP, "Address of the subnet that the driver must leave alone", shown_default="map[]"),
    Flag("driver", "d", STRING, "Driver of the network", default="bridge"),
    Flag("gateway", "", STRINGS, "Gateway of a subnet"),
    Flag("internal", "", BOOL, "Keep the network from the outside"),
    Flag("ip-range", "", STRINGS, "Take containers' addresses from this part of a subnet"),
    Flag("ipam-driver", "", STRING, "Driver that hands out addresses", default="default"),
    Flag("ipam-opt", "", MAP, "Option of that driver", shown_default="map[]"),
    Flag("ipv4", "", BOOL, "Give IPv4 addresses", default=True),
    Flag("ipv6", "", BOOL, "Give IPv6 addresses"),
    Flag("label", "", LABELS, "Set a label"),
    Flag("opt", "o", MAP, "Option of the driver", shown_default="map[]"),
    Flag("scope", "", STRING, "Scope of the network"),
    Flag("subnet", "", STRINGS, "Addresses of the network (10.1.0.0/16)"),
    arguments=(1, 1),
)
RM = Verb(
    "NETWORK [NETWORK...]",
    _rm,
    Flag("force", "f", BOOL, "Do not fail for a network that is not there"),
    arguments=(1, None),
)
CONNECT = Verb(
    "[OPTIONS] NETWORK CONTAINER",
    _connect,
    Flag("alias", "", STRINGS, "Further name of the container in the network"),
    Flag("driver-opt", "", STRINGS, "Option of the network's driver"),
    Flag("gw-priority", "", INT, "Order among gateways; the highest becomes the default gateway"),
    Flag("ip", "", STRING, "IPv4 address (172.30.100.104)"),
    Flag("ip6", "", STRING, "IPv6 address (2001:db8::33)"),
    Flag("link", "", LIST, "Link to another container"),
    Flag("link-local-ip", "", STRINGS, "Link-local address"),
    arguments=(2, 2),
)
DISCONNECT = Verb(
    "[OPTIONS] NETWORK CONTAINER",
    _disconnect,
    Flag("force", "f", BOOL, "Disconnect even a container that is not running right"),
    arguments=(2, 2),
)
