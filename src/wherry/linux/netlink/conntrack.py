"""ctnetlink: forget tracked connections (include/uapi/linux/netfilter/nfnetlink_conntrack.h).

The kernel picks them by itself since 5.8: one message, however many there are. An older one answers EINVAL.
"""

import socket
import struct

from wherry.linux.netlink.connection import Connection
from wherry.linux.netlink.wire import Request, attribute, nested, small

_CT_DELETE = 1 << 8 | 2
_HEADER = struct.pack("=BBH", socket.AF_INET, 0, 0)

_CTA_TUPLE_ORIG = 1
_CTA_TUPLE_REPLY = 2
_CTA_TUPLE_IP = 1
_CTA_TUPLE_PROTO = 2
_CTA_IP_V4_SRC = 1
_CTA_PROTO_NUM = 1
_CTA_PROTO_DST_PORT = 3
_CTA_FILTER = 25
_CTA_FILTER_ORIG_FLAGS = 1
_CTA_FILTER_REPLY_FLAGS = 2
# net/netfilter/nf_conntrack_netlink.c, CTA_FILTER_F_*: which parts of a tuple are compared.
_BY_SOURCE = 1 << 0
_BY_PROTOCOL = 1 << 3
_BY_DESTINATION_PORT = 1 << 5


def forget_answers_of(netfilter: Connection, address: bytes) -> None:
    """Forget every IPv4 connection that this address answers, as one does whose packets we forward to it."""
    answers = nested(_CTA_TUPLE_REPLY, nested(_CTA_TUPLE_IP, attribute(_CTA_IP_V4_SRC, address)))
    what = f"forget connections of {socket.inet_ntoa(address)}"
    netfilter.transact([Request(_CT_DELETE, 0, _HEADER + answers + _filter(replied=_BY_SOURCE), what)])


def forget_sent_to(netfilter: Connection, protocol: int, port: int) -> None:
    """Forget every IPv4 connection to this port, whoever answered it so far."""
    proto = nested(
        _CTA_TUPLE_PROTO,
        small(_CTA_PROTO_NUM, protocol),
        attribute(_CTA_PROTO_DST_PORT, struct.pack("!H", port)),
    )
    which = nested(_CTA_TUPLE_ORIG, proto) + _filter(sent=_BY_PROTOCOL | _BY_DESTINATION_PORT)
    netfilter.transact([Request(_CT_DELETE, 0, _HEADER + which, f"forget connections to port {port}")])


def _filter(*, sent: int = 0, replied: int = 0) -> bytes:
    return nested(
        _CTA_FILTER,
        attribute(_CTA_FILTER_ORIG_FLAGS, struct.pack("=I", sent)),
        attribute(_CTA_FILTER_REPLY_FLAGS, struct.pack("=I", replied)),
    )
