"""Netlink messages as bytes: headers, attributes, alignment (netlink(7), include/uapi/linux/netlink.h)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
HEADER_BYTES = _HEADER.size


class Request(NamedTuple):
    """One message to the kernel as a value; `what` names it in errors. `payload` is a family header and attributes."""

    kind: int
    flags: int
    payload: bytes
    what: str

    def encode(self, sequence: int) -> bytes:
        """The bytes on the wire, asking for an acknowledgement unless it is a dump."""
        flags = self.flags | NLM_F_REQUEST | (0 if self.flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_ACK)
        return _HEADER.pack(HEADER_BYTES + len(self.payload), self.kind, flags, sequence, 0) + self.payload


class Reply(NamedTuple):
    """One message from the kernel, without its header."""

    kind: int
    sequence: int
    payload: bytes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in the machine's order."""
    return attribute(kind, struct.pack("=I", value))


def small(kind: int, value: int) -> bytes:
    """An attribute of 8 bits."""
    return attribute(kind, bytes((value,)))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a C string."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def replies(buffer: bytes) -> Iterator[Reply]:
    """The messages in one datagram."""
    offset = 0
    while offset + HEADER_BYTES <= len(buffer):
        length, kind, _, sequence, _ = _HEADER.unpack_from(buffer, offset)
        yield Reply(kind, sequence, buffer[offset + HEADER_BYTES : offset + length])
        offset += length + (-length % 4)


def attributes(buffer: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attribute values by their kind, starting at `offset`; the last of a kind wins."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(buffer):
        length, kind = _ATTRIBUTE.unpack_from(buffer, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = buffer[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return found


def string(value: bytes) -> str:
    """The text of a C string attribute."""
    return value.partition(b"\0")[0].decode(errors="replace")
