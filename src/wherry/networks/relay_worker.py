"""The process that serves published ports on IPv6 addresses of the host for containers that have only IPv4.

The kernel forwards within one family only. One small process does all such ports of a daemon; like the monitors it
outlives the daemon, and the next one meets it on its path socket. It ends by itself when there is nothing to relay
and no daemon to tell it so. SCTP is not relayed.
"""

import asyncio
import contextlib
import socket
from typing import Protocol

import msgspec

from wherry.linux import prctl
from wherry.networks.relay import WORD_BYTES_MAX, Drop, Keep, Kept, Relay, Serve, Word
from wherry.networks.relaying import serve_tcp, serve_udp


class Service(Protocol):
    """Something that relays until it is closed."""

    def close(self) -> None:
        """Stop at once."""


class Worker:
    """All relays. One daemon is heard at a time: the next one waits until the last word of a dead one was obeyed."""

    def __init__(self, listener: socket.socket) -> None:
        """Listen for daemons."""
        self._listener = listener
        self._services: dict[Relay, Service] = {}

    async def run(self) -> None:
        """Serve until no daemon is there and nothing is to be relayed."""
        loop = asyncio.get_running_loop()
        while True:
            daemon, _ = await loop.sock_accept(self._listener)
            with daemon:
                await self._converse(daemon)
            if not self._services:
                return

    async def _converse(self, daemon: socket.socket) -> None:
        daemon.setblocking(False)
        decode = msgspec.json.Decoder(Word).decode
        while True:
            packet, fds = await _receive(daemon)
            if not packet:
                return
            await self._obey(daemon, decode(packet), fds)

    async def _obey(self, daemon: socket.socket, word: Word, fds: list[int]) -> None:
        match word:
            case Serve(relay=relay):
                self._drop([relay])
                self._services[relay] = await _serve(relay, socket.socket(fileno=fds[0]))
            case Drop(relays=relays):
                self._drop(relays)
                await self._answer(daemon)
            case Keep(relays=relays):
                self._drop([relay for relay in self._services if relay not in relays])
                await self._answer(daemon)

    async def _answer(self, daemon: socket.socket) -> None:
        # What was closed is gone from the loop, and its port free, one round later.
        await asyncio.sleep(0)
        kept = Kept(relays=tuple(self._services))
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(daemon, msgspec.json.encode(kept))

    def _drop(self, relays: list[Relay] | tuple[Relay, ...]) -> None:
        for relay in relays:
            service = self._services.pop(relay, None)
            if service is not None:
                service.close()


async def _serve(relay: Relay, bound: socket.socket) -> Service:
    bound.setblocking(False)
    if relay.protocol == "tcp":
        return await serve_tcp(bound, relay)
    return await serve_udp(bound, relay)


async def _receive(daemon: socket.socket) -> tuple[bytes, list[int]]:
    """A packet with its descriptors; empty at the end."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(daemon, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(daemon)
    try:
        packet, fds, _, _ = socket.recv_fds(daemon, WORD_BYTES_MAX, 1)
    except OSError:
        return b"", []
    return packet, fds


def main(listener_fd: int) -> None:
    """Serve on a listening SOCK_SEQPACKET socket."""
    prctl.set_name(b"wherry-relay")
    with socket.socket(fileno=listener_fd) as listener:
        listener.setblocking(False)
        asyncio.run(_main(listener))


async def _main(listener: socket.socket) -> None:
    await Worker(listener).run()
