"""A real server on real sockets, with routes of the test's choice."""

import asyncio
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from contextlib import asynccontextmanager, contextmanager
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


def read_to_the_end(client):
    answer = []
    while piece := client.recv(65536):
        answer.append(piece)
    return b"".join(answer)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, path, pid):
        self.path = path
        self.pid = pid

    def ask(self, method, target, body=None, **headers):
        connection = UnixConnection(self.path)
        said = {"Content-Type": "application/json", **headers} if body is not None else headers
        connection.request(method, target, body=body, headers=said)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data, answer.headers

    def told(self, method, target, body=None):
        """The decoded answer, which has to be a good one."""
        status, data, _ = self.ask(method, target, None if body is None else json.dumps(body).encode())
        assert status < 300, data
        return json.loads(data) if data else None

    def load_busybox(self):
        """An image `busybox` of little more than a shell."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            tar.add(shutil.which("busybox"), "bin/busybox")
            for applet in ("sh", "cat", "sha256sum", "sleep", "head", "tr", "yes", "true", "stty", "mkfifo"):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        assert self.ask("POST", "/images/create?fromSrc=-&repo=busybox", archive.getvalue())[0] == 200

    def open_stream(self, target, body=b"", *, upgrade=True, method="POST", extra=()):
        """A connection that was asked for a raw stream, and what its answer begins with."""
        head = [f"{method} {target} HTTP/1.1", "Host: x", "Content-Type: application/json"]
        head += [f"Content-Length: {len(body)}", *extra]
        head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(str(self.path))
        client.sendall("\r\n".join([*head, "", ""]).encode() + body)
        answered = b""
        while not answered.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            assert byte, answered
            answered += byte
        return client, answered

    def talk(self, target, body=b"", *, upgrade=True):
        """Ask for a raw stream and read it to its end: its head and itself."""
        client, head = self.open_stream(target, body, upgrade=upgrade)
        with client:
            return head, read_to_the_end(client)

    def words(self, method, target, body=None):
        status, data, _ = self.ask(method, target, body)
        return status, json.loads(data)["message"] if data else ""


@contextmanager
def daemon_in(root, *flags):
    reading, writing = os.pipe()
    command = [
        "unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
        sys.executable, "-m", "wherry.bootstrap", "--data-root", root / "data",
        "--exec-root", root / "exec", "--pidfile", root / "pid", "-H", f"unix://{root}/s.sock",
        "--ready-fd", str(writing), *flags,
    ]  # fmt: skip
    with (
        (root / "log").open("w") as log,
        subprocess.Popen(command, pass_fds=[writing], stderr=log) as process,
        os.fdopen(reading, "rb") as ready,
    ):
        os.close(writing)
        assert ready.read() == b"ready\n", (root / "log").read_text()
        try:
            yield Api(root / "s.sock", process.pid)
        finally:
            process.terminate()
            code = process.wait(60)
        assert code == 0


@pytest.fixture(scope="module")
def running_daemon(tmp_path_factory):
    """A whole daemon in a network namespace of its own, for the time of a context."""

    @contextmanager
    def running_daemon(*flags):
        with daemon_in(tmp_path_factory.mktemp("daemon"), *flags) as api:
            yield api

    return running_daemon


@pytest.fixture
def container(api):
    """Start a container of the module's `api`; it goes when the test ends."""
    made = []

    def container(*command, start=True, **config):
        body = {"Image": "busybox", "Cmd": command, "HostConfig": {"NetworkMode": "none"}, **config}
        made.append(api.told("POST", "/containers/create", body)["Id"])
        if start:
            assert api.ask("POST", f"/containers/{made[-1]}/start")[0] == 204
        return made[-1]

    yield container
    for each in made:
        assert api.ask("DELETE", f"/containers/{each}?force=1")[0] in {204, 404}
