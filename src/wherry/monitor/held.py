"""What a monitor holds for its container's published ports, when these change."""

import os
import socket

from wherry.monitor import deposits, inheritance, keeping, wire
from wherry.monitor.deposits import Deposits
from wherry.monitor.messages import write


def renew(held: tuple[int, ...], more: tuple[int, ...], ports: tuple[str, ...], copies: Deposits) -> tuple[int, ...]:
    """Hold `more` besides, close what holds another port than `ports`, here and with the keeper; what is held then."""
    gone = tuple(fd for fd in held if (name := _port_of(fd)) is not None and name not in ports)
    left = (*(fd for fd in held if fd not in gone), *more)
    released = [copies.begin_release(name) for name, _, _ in inheritance.bundles(held, keeping.PACKET_FDS_MAX)]
    for name, fds, kept in inheritance.bundles(left, keeping.PACKET_FDS_MAX):
        copies.put(name, fds, write(kept))
    wire.close_all(gone)
    for each in released:
        deposits.end_release(each)
    return left


def _port_of(fd: int) -> str | None:
    """`tcp 0.0.0.0 80`; None for what is no socket of IPv4 with a port."""
    try:
        with socket.socket(fileno=os.dup(fd)) as bound:
            if bound.family != socket.AF_INET:
                return None
            address, port = bound.getsockname()
            names = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
            return f"{names.get(bound.proto, 'sctp')} {address} {port}"
    except OSError:
        return None
