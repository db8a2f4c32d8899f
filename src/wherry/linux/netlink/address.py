"""rtnetlink(7) addresses and routes, IPv4: set them, list them (include/uapi/linux/{if_addr,rtnetlink}.h)."""

import socket
import struct
from typing import NamedTuple

from wherry.linux.netlink.connection import Connection
from wherry.linux.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Request,
    attribute,
    attributes,
    number,
)

RTM_NEWADDR = 20
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_GETROUTE = 26

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_BROADCAST = 4
_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RTN_UNICAST = 1

_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


class Address(NamedTuple):
    """An IPv4 address of a link, dotted."""

    link: int
    address: str
    prefix: int


class Route(NamedTuple):
    """An IPv4 route of the main table: where to (dotted, `0.0.0.0` with prefix 0 for the default), over which link."""

    destination: str
    prefix: int
    link: int


def new_address(link: int, address: bytes, prefix: int) -> Request:
    """Give a link an IPv4 address, with the subnet's last address as broadcast."""
    last = int.from_bytes(address, "big") | ((1 << (32 - prefix)) - 1)
    payload = (
        _ADDRESS.pack(socket.AF_INET, prefix, 0, _RT_SCOPE_UNIVERSE, link)
        + attribute(_IFA_LOCAL, address)
        + attribute(_IFA_ADDRESS, address)
        + attribute(_IFA_BROADCAST, last.to_bytes(4, "big"))
    )
    dotted = socket.inet_ntoa(address)
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, payload, f"add address {dotted}/{prefix} to link {link}")


def new_default_route(link: int, gateway: bytes) -> Request:
    """Send everything else to a gateway."""
    header = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0)
    payload = header + attribute(_RTA_GATEWAY, gateway) + number(_RTA_OIF, link)
    what = f"add default route via {socket.inet_ntoa(gateway)}"
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, payload, what)


def addresses(route: Connection) -> list[Address]:
    """Every IPv4 address in the connection's namespace."""
    found = []
    request = Request(RTM_GETADDR, NLM_F_DUMP, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0), "list addresses")
    for reply in route.ask(request):
        _, prefix, _, _, link = _ADDRESS.unpack_from(reply.payload)
        values = attributes(reply.payload, _ADDRESS.size)
        local = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
        if local is not None:
            found.append(Address(link, socket.inet_ntoa(local), prefix))
    return found


def routes(route: Connection) -> list[Route]:
    """Every IPv4 route of the main table in the connection's namespace."""
    found = []
    request = Request(RTM_GETROUTE, NLM_F_DUMP, _ROUTE.pack(socket.AF_INET, *(0,) * 8), "list routes")
    for reply in route.ask(request):
        fields = _ROUTE.unpack_from(reply.payload)
        if fields[4] != _RT_TABLE_MAIN:
            continue
        values = attributes(reply.payload, _ROUTE.size)
        destination = socket.inet_ntoa(values.get(_RTA_DST, b"\0\0\0\0"))
        link = struct.unpack("=I", values[_RTA_OIF])[0] if _RTA_OIF in values else 0
        found.append(Route(destination, fields[1], link))
    return found
