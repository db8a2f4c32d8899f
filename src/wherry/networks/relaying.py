"""Moving bytes and datagrams between a port of the host and a container, from one address family to the other."""

import asyncio
import contextlib
import socket
from typing import Any, cast

from wherry.networks.relay import Relay

# A socket address as the family has it: host, port, and for IPv6 flow and scope.
Peer = tuple[Any, ...]

CHUNK_BYTES = 1 << 16
# moby cmd/docker-proxy: a client of UDP that says nothing for so long is forgotten.
UDP_SILENCE_SECONDS = 90.0
UDP_CLIENTS_MAX = 4096
CONNECT_SECONDS = 10.0


class TcpService:
    """A listening socket and its connections."""

    def __init__(self, relay: Relay) -> None:
        """Nothing is served before `open`."""
        self._relay = relay
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def open(self, bound: socket.socket) -> None:
        """Start accepting."""
        self._server = await asyncio.start_server(self._connected, sock=bound, limit=CHUNK_BYTES)

    def close(self) -> None:
        """Stop accepting, and end every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # A container that refuses, or a side that breaks off, is the end of this connection and of nothing else.
            with contextlib.suppress(OSError, TimeoutError, ExceptionGroup, asyncio.CancelledError):
                await self._relay_to_container(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _relay_to_container(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            opened = asyncio.open_connection(self._relay.container_ip, self._relay.container_port, limit=CHUNK_BYTES)
            inner_reader, inner_writer = await opened
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, inner_writer))
                both.create_task(_pump(inner_reader, writer))
        finally:
            inner_writer.close()


async def serve_tcp(bound: socket.socket, relay: Relay) -> TcpService:
    """Relay connections of a listening socket."""
    service = TcpService(relay)
    await service.open(bound)
    return service


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    # The other direction goes on: the end of input is not the end of the conversation.
    writer.write_eof()


class UdpService(asyncio.DatagramProtocol):
    """A bound socket and a socket towards the container for each client."""

    def __init__(self, relay: Relay) -> None:
        """Serves once a transport is connected."""
        self._relay = relay
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[Peer, _UdpClient] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport of the bound socket."""
        # asyncio's own transport of datagrams is not of that class before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        """From a client: on to the container."""
        client = self._clients.get(addr)
        if client is None:
            if len(self._clients) >= UDP_CLIENTS_MAX:
                return
            client = self._clients[addr] = _UdpClient(self, addr, self._relay)
        client.forward(data)

    def answer(self, data: bytes, addr: Peer) -> None:
        """From the container: back to the client."""
        if self._transport is not None:
            self._transport.sendto(data, addr)

    def forget(self, addr: Peer) -> None:
        """The client is silent."""
        self._clients.pop(addr, None)

    def close(self) -> None:
        """Stop at once."""
        if self._transport is not None:
            self._transport.close()
        for client in list(self._clients.values()):
            client.close()


class _UdpClient:
    """What one client says to the container, from a port of its own."""

    def __init__(self, service: UdpService, address: Peer, relay: Relay) -> None:
        self._service = service
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.connect((relay.container_ip, relay.container_port))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._answered)
        self._silence = self._loop.call_later(UDP_SILENCE_SECONDS, self.close)

    def forward(self, data: bytes) -> None:
        self._silence.cancel()
        self._silence = self._loop.call_later(UDP_SILENCE_SECONDS, self.close)
        # A full buffer or a container that does not listen loses datagrams, as on any network.
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def close(self) -> None:
        self._silence.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._service.forget(self._address)

    def _answered(self) -> None:
        with contextlib.suppress(OSError):
            self._service.answer(self._socket.recv(CHUNK_BYTES), self._address)


async def serve_udp(bound: socket.socket, relay: Relay) -> UdpService:
    """Relay datagrams of a bound socket."""
    loop = asyncio.get_running_loop()
    _, service = await loop.create_datagram_endpoint(lambda: UdpService(relay), sock=bound)
    return service
