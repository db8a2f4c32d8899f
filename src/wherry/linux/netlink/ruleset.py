"""What others do to the ruleset of nftables, as the kernel tells it (NFNLGRP_NFTABLES, linux/netfilter/nf_tables.h)."""

import errno
import socket
from dataclasses import dataclass

from wherry.linux.netlink.connection import NETLINK_NETFILTER
from wherry.linux.netlink.wire import attributes, replies, string

DELETED_TABLE = 2
NEW_CHAIN = 3
DELETED_CHAIN = 5
DELETED_RULE = 8
# The kernel had more to tell than there was room for.
LOST = -1

_GROUP = 1 << (7 - 1)
_SUBSYSTEM = 10
_HEADER_BYTES = 4
# The attribute that names the table is the first one of tables, chains and rules alike.
_TABLE = 1
_CHAIN_NAME = 3
_RECEIVE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its kind, the table it happened in and, for a new or deleted chain, the chain."""

    kind: int
    table: str = ""
    chain: str = ""


class Changes:
    """A socket that is readable when somebody changed the ruleset of the network namespace it was opened in."""

    def __init__(self) -> None:
        """Begin to listen. Raises OSError."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        self._socket.bind((0, _GROUP))

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> list[Change]:
        """All that was told since the last time, without waiting."""
        found: list[Change] = []
        while True:
            try:
                buffer = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found.append(Change(LOST))
                continue
            found += [_change(reply.kind & 0xFF, reply.payload) for reply in replies(buffer) if _is_ours(reply.kind)]


def _is_ours(kind: int) -> bool:
    return kind >> 8 == _SUBSYSTEM


def _change(kind: int, payload: bytes) -> Change:
    values = attributes(payload, _HEADER_BYTES)
    chain = values.get(_CHAIN_NAME, b"") if kind in (NEW_CHAIN, DELETED_CHAIN) else b""
    return Change(kind, string(values.get(_TABLE, b"")), string(chain))
