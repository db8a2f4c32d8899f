"""A real server on real sockets, with routes of the test's choice."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from wherry.api.routing import RouteTable
from wherry.api.server import serving


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """Speaks HTTP by hand to a unix socket, because these tests are about what libraries would hide."""

    def __init__(self, path):
        self.path = str(path)

    async def open(self):
        return await asyncio.open_unix_connection(self.path)

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await self.open()
        writer.write(data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def ask(self, method, target, body=None, **headers) -> Answered:
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += [f"Content-Length: {len(body)}"]
            if "Content_Type" not in headers:
                lines += ["Content-Type: application/json"]
        head = "\r\n".join([*lines, "", ""]).encode()
        return parse(await self.raw(head + (body or b"")))


def parse(answer: bytes) -> Answered:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("Transfer-Encoding") == "chunked":
        body = b"".join(chunks(body))
    return Answered(int(status.split()[1]), headers, body)


def chunks(body: bytes):
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        yield rest[:length]
        body = rest[length + 2 :]


@pytest.fixture
def routes() -> RouteTable:
    return RouteTable()


@pytest.fixture
def serve(tmp_path, routes):
    """Serve `routes` on a unix socket for the time of a context."""

    @asynccontextmanager
    async def serve(engine=None):
        path = tmp_path / "api.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        async with serving(engine, routes) as server:
            await server.listen(listener)
            wire = Wire(path)
            wire.server = server
            yield wire

    return serve
