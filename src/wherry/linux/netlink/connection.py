"""A netlink socket: batches of requests with their acknowledgements, and dumps."""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from wherry.linux.netlink.wire import NLMSG_DONE, NLMSG_ERROR, Reply, Request, attributes, replies, string

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLMSGERR_ATTR_MSG = 1
# The errno, then the header of the request that failed.
_ERROR_BYTES = 4 + 16
_RECEIVE_BYTES = 1 << 18


class Connection:
    """Belongs to the network namespace it was opened in, wherever its owner goes. Not for two threads at once."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        """Open it. Raises OSError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def transact(self, requests: Sequence[Request]) -> None:
        """Send all in one system call; the kernel runs every one, in order, also after a failure.

        Raises the OSError of the first that failed, which names the request and carries the kernel's own words.
        """
        waiting = self._send(requests)
        failure: OSError | None = None
        while waiting:
            for reply in replies(self._socket.recv(_RECEIVE_BYTES)):
                request = waiting.pop(reply.sequence, None) if reply.kind == NLMSG_ERROR else None
                if request is not None and failure is None:
                    failure = _failure(reply, request)
        if failure is not None:
            raise failure

    def ask(self, request: Request) -> Iterator[Reply]:
        """What the kernel answers to a question: one reply and an acknowledgement, or a whole dump. Raises OSError."""
        waiting = self._send([request])
        while waiting:
            for reply in replies(self._socket.recv(_RECEIVE_BYTES)):
                if reply.sequence not in waiting:
                    continue
                if reply.kind in (NLMSG_ERROR, NLMSG_DONE):
                    failure = _failure(reply, waiting.pop(reply.sequence))
                    if failure is not None:
                        raise failure
                else:
                    yield reply

    def _send(self, requests: Sequence[Request]) -> dict[int, Request]:
        waiting: dict[int, Request] = {}
        encoded = []
        for request in requests:
            self._sequence += 1
            waiting[self._sequence] = request
            encoded.append(request.encode(self._sequence))
        if encoded:
            self._socket.send(b"".join(encoded))
        return waiting


def _failure(reply: Reply, request: Request) -> OSError | None:
    number = -struct.unpack_from("=i", reply.payload)[0] if len(reply.payload) >= 4 else 0
    if number <= 0:
        return None
    words = attributes(reply.payload, _ERROR_BYTES).get(_NLMSGERR_ATTR_MSG)
    reason = f" ({string(words)})" if words else ""
    return OSError(number, f"{request.what}: {os.strerror(number)}{reason}")
