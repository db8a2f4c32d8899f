"""Sockets that hold published ports against every other process of the host, and never answer."""

import ctypes
import errno
import os
import socket
import struct

from wherry.model.errors import Conflict
from wherry.networks.ports import is_v6

_SO_ATTACH_FILTER = 26
_BPF_RET_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": 132}


def reserve(protocol: str, host_ip: str, port: int, *, deaf: bool) -> socket.socket | None:
    """A bound socket, listening where the protocol has that. Raises Conflict with the kernel's reason.

    A `deaf` one drops what reaches it: should the rules that forward the port be missing for a moment, nobody is
    answered by a socket that nobody serves. None when the kernel does not speak the protocol itself: then no
    process can take the port from us (SCTP is forwarded all the same).
    """
    family = socket.AF_INET6 if is_v6(host_ip) else socket.AF_INET
    try:
        reserved = socket.socket(family, _TYPES[protocol] | socket.SOCK_CLOEXEC, _PROTOCOLS[protocol])
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    try:
        _bind(reserved, protocol, host_ip, port, deaf=deaf)
    except OSError as error:
        reserved.close()
        # Go writes the kernel's reasons in small letters, and clients match them.
        raise Conflict(os.strerror(error.errno or errno.EIO).lower()) from None
    return reserved


def _bind(reserved: socket.socket, protocol: str, host_ip: str, port: int, *, deaf: bool) -> None:
    if protocol == "tcp":
        # Connections in TIME_WAIT, of a server that had the port before, shall not keep it busy.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reserved.family == socket.AF_INET6:
        reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if deaf:
        # Before it is bound, so that not one datagram comes in.
        _drop_everything(reserved)
    reserved.bind((host_ip, port))
    if protocol != "udp":
        # With SO_REUSEADDR only a listening socket keeps others from listening there.
        reserved.listen(socket.SOMAXCONN)


def _drop_everything(deaf: socket.socket) -> None:
    program = ctypes.create_string_buffer(_BPF_RET_NOTHING, len(_BPF_RET_NOTHING))
    # struct sock_fprog of linux/filter.h: the number of instructions, and where they are.
    deaf.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))
