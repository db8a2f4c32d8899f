"""rtnetlink(7) links: bridges, veth pairs, their attributes (include/uapi/linux/if_link.h)."""

import errno
import struct
from typing import NamedTuple

from wherry.linux.netlink.connection import Connection
from wherry.linux.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Reply,
    Request,
    attribute,
    attributes,
    nested,
    number,
    small,
    string,
    text,
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18

IFF_UP = 1

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_GROUP = 27
_IFLA_NET_NS_FD = 28
_INFO_KIND = 1
_INFO_DATA = 2
_INFO_SLAVE_KIND = 4
_INFO_SLAVE_DATA = 5
_VETH_INFO_PEER = 1
_BRPORT_MODE = 4
_BRPORT_ISOLATED = 33

_INFO = struct.Struct("=BxHiII")


class Link(NamedTuple):
    """A network interface as the kernel describes it; `kind` is empty for hardware, `master` 0 for none."""

    index: int  # type: ignore[assignment]  # it hides tuple.index(), which nobody means
    name: str
    kind: str
    master: int
    group: int
    mtu: int
    mac: str
    is_up: bool


class VethEnd(NamedTuple):
    """One end of a veth pair in the making; `master` and `group` 0 for none, `mac` empty for a random one."""

    name: str
    mtu: int
    mac: bytes = b""
    master: int = 0
    group: int = 0
    netns_fd: int | None = None


def _info(index: int = 0, *, up: bool = False) -> bytes:
    flag = IFF_UP if up else 0
    return _INFO.pack(0, 0, index, flag, flag)


def new_bridge(name: str, *, mac: bytes, mtu: int) -> Request:
    """Make a bridge that is up. The kernel answers EEXIST when the name is taken."""
    payload = (
        _info(up=True)
        + text(_IFLA_IFNAME, name)
        + attribute(_IFLA_ADDRESS, mac)
        + number(_IFLA_MTU, mtu)
        + nested(_IFLA_LINKINFO, text(_INFO_KIND, "bridge"))
    )
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"make bridge {name}")


def new_veth(near: VethEnd, far: VethEnd) -> Request:
    """Make a veth pair; the near end is up at once, a far end can only be set up afterwards."""
    peer = attribute(_VETH_INFO_PEER, _info() + _end(far))
    linkinfo = nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, peer))
    payload = _info(up=True) + _end(near) + linkinfo
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"make veth {near.name}")


def _end(end: VethEnd) -> bytes:
    parts = [text(_IFLA_IFNAME, end.name), number(_IFLA_MTU, end.mtu)]
    if end.mac:
        parts.append(attribute(_IFLA_ADDRESS, end.mac))
    if end.master:
        parts.append(number(_IFLA_MASTER, end.master))
    if end.group:
        parts.append(number(_IFLA_GROUP, end.group))
    if end.netns_fd is not None:
        parts.append(number(_IFLA_NET_NS_FD, end.netns_fd))
    return b"".join(parts)


def set_up(index: int, *, mtu: int = 0) -> Request:
    """Set a link up, with another MTU when one is given."""
    payload = _info(index, up=True) + (number(_IFLA_MTU, mtu) if mtu else b"")
    return Request(RTM_NEWLINK, 0, payload, f"set link {index} up")


def set_mac(index: int, mac: bytes) -> Request:
    """Give a link a hardware address, as one that was chosen and stays."""
    return Request(RTM_NEWLINK, 0, _info(index) + attribute(_IFLA_ADDRESS, mac), f"set address of link {index}")


def set_port(name: str, *, hairpin: bool, isolated: bool) -> Request:
    """How a bridge's port behaves: whether it may get its own frames back, whether it hears other isolated ports.

    The bridge itself is reached from isolated ports all the same.
    """
    port = small(_BRPORT_MODE, hairpin) + small(_BRPORT_ISOLATED, isolated)
    linkinfo = nested(_IFLA_LINKINFO, text(_INFO_SLAVE_KIND, "bridge"), nested(_INFO_SLAVE_DATA, port))
    return Request(RTM_NEWLINK, 0, _info() + text(_IFLA_IFNAME, name) + linkinfo, f"set up bridge port {name}")


def delete(name: str) -> Request:
    """Delete a link by name, a veth with its peer. Takes the kernel about 17 ms."""
    return Request(RTM_DELLINK, 0, _info() + text(_IFLA_IFNAME, name), f"delete link {name}")


def set_master(index: int, master: int) -> Request:
    """Make a link a port of a bridge."""
    return Request(
        RTM_NEWLINK, 0, _info(index, up=True) + number(_IFLA_MASTER, master), f"join link {index} to {master}"
    )


def find(route: Connection, name: str) -> Link | None:
    """The link of that name in the connection's namespace. Raises OSError."""
    try:
        found = _links(route, Request(RTM_GETLINK, 0, _info() + text(_IFLA_IFNAME, name), f"find link {name}"))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return None
    return found[0]


def all_links(route: Connection) -> list[Link]:
    """Every link in the connection's namespace. Raises OSError."""
    return _links(route, Request(RTM_GETLINK, NLM_F_DUMP, _info(), "list links"))


def _links(route: Connection, request: Request) -> list[Link]:
    return [_link(reply) for reply in route.ask(request) if reply.kind == RTM_NEWLINK]


def _link(reply: Reply) -> Link:
    _, _, index, flags, _ = _INFO.unpack_from(reply.payload)
    found = attributes(reply.payload, _INFO.size)
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=string(found.get(_IFLA_IFNAME, b"")),
        kind=string(info.get(_INFO_KIND, b"")),
        master=_number(found.get(_IFLA_MASTER)),
        group=_number(found.get(_IFLA_GROUP)),
        mtu=_number(found.get(_IFLA_MTU)),
        mac=found.get(_IFLA_ADDRESS, b"").hex(":"),
        is_up=bool(flags & IFF_UP),
    )


def _number(value: bytes | None) -> int:
    return struct.unpack("=I", value)[0] if value else 0
