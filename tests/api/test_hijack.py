"""Connections that leave HTTP: the other side gets the client's own socket, and nothing of it stays here."""

import asyncio
import os
import socket

from wherry.api.hijack import MULTIPLEXED, RAW, hijack
from wherry.model.errors import Conflict

UPGRADE = b"POST /attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
PLAIN = b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def attach_route(routes, takeover, *, content_type=RAW, framed=True):
    @routes.route("POST", "/attach")
    async def attach(call):
        return await hijack(call, takeover, content_type=content_type, framed=framed)


async def test_the_head_is_an_upgrade_only_for_those_who_ask(serve, routes):
    async def takeover(client):
        client.close()

    attach_route(routes, takeover, content_type=MULTIPLEXED)
    async with serve() as wire:
        upgraded = await wire.raw(UPGRADE)
        assert upgraded.startswith(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.51\r\n"
        )
        plain = await wire.raw(PLAIN)
        assert plain.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nApi")


async def test_the_socket_works_in_both_directions_and_half_closes(serve, routes):
    taken = asyncio.Queue()
    attach_route(routes, taken.put)
    async with serve() as wire:
        reader, writer = await wire.open()
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        client = await taken.get()
        theirs_in, theirs_out = await asyncio.open_connection(sock=client)
        writer.write(b"to the container")
        writer.write_eof()
        assert await theirs_in.read() == b"to the container"
        theirs_out.write(b"to the client")
        theirs_out.close()
        assert await reader.read() == b"to the client"
        writer.close()


async def test_an_error_after_the_upgrade_is_told_on_the_stream(serve, routes):
    async def takeover(client):
        client.close()
        raise Conflict("it is gone")

    attach_route(routes, takeover)
    async with serve() as wire:
        answered = await wire.raw(UPGRADE)
        assert answered.endswith(b"\r\n\r\n\x01\x00\x00\x00\x00\x00\x00\x0cit is gone\r\n")


async def test_a_hundred_sessions_leave_no_descriptor_and_no_connection(serve, routes):
    async def takeover(client):
        client.close()

    attach_route(routes, takeover)
    async with serve() as wire:
        await wire.raw(UPGRADE)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            await wire.raw(UPGRADE)
        assert len(os.listdir("/proc/self/fd")) == before
        assert wire.server._connections.connections == []


async def test_the_session_goes_on_when_the_server_has_closed(serve, routes):
    taken = asyncio.Queue()
    attach_route(routes, taken.put)
    async with serve() as wire:
        reader, writer = await wire.open()
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        client: socket.socket = await taken.get()
    with client:
        await asyncio.get_running_loop().sock_sendall(client, b"still here")
        assert await reader.readexactly(10) == b"still here"
    writer.close()
