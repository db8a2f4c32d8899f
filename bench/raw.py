"""The engine's own share: requests over the socket without any command line."""

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any

from bench.engines import Engine


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Line:
    """A connection for several requests."""

    def __init__(self, engine: Engine) -> None:
        """Connect."""
        self._connection = _Connection(str(engine.socket))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request and its decoded answer."""
        return _call(self._connection, method, f"/v1.41{path}", body)

    def ask(self, path: str) -> bytes:
        """A question and the bytes of its answer, of which no more is looked at than where they end."""
        connection = self._connection.sock
        connection.sendall(f"GET /v1.41{path} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        data = b""
        while not _is_whole(data):
            data += connection.recv(1 << 20)
        return data

    def create(self, network: str, *args: str) -> str:
        """A container of busybox; its id."""
        body = {"Image": "busybox", "Cmd": args or ("/bin/true",), "HostConfig": {"NetworkMode": network}}
        return str(self.call("POST", "/containers/create", body)["Id"])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
    return len(body) == int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def create_start_wait(engine: Engine, network: str) -> None:
    """Create a container, start it, wait for its end; removed outside of what counts."""
    connection = _Connection(str(engine.socket))
    name = _create(connection, network)
    _call(connection, "POST", f"/v1.41/containers/{name}/start")
    _wait(connection, name)
    connection.close()


def run_to_removal(engine: Engine, network: str) -> None:
    """The same, but until it is removed, as `docker run --rm` waits for it: asked before the start."""
    connection, waiting = _Connection(str(engine.socket)), _Connection(str(engine.socket))
    name = _create(connection, network)
    waiting.request("POST", f"/v1.41/containers/{name}/wait?condition=removed")
    answer = waiting.getresponse()  # its head comes at once
    _call(connection, "POST", f"/v1.41/containers/{name}/start")
    assert json.loads(answer.read())["StatusCode"] == 0
    connection.close()
    waiting.close()


def exec_and_wait(engine: Engine, container: str) -> None:
    """A process in a running container, from the first request to the end of its streams."""
    connection = _Connection(str(engine.socket))
    body = {"Cmd": ["/bin/true"], "AttachStdout": True, "AttachStderr": True}
    made = _call(connection, "POST", f"/v1.41/containers/{container}/exec", body)
    upgrade = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
    connection.request("POST", f"/v1.41/exec/{made['Id']}/start", '{"Detach": false, "Tty": false}', upgrade)
    while connection.sock.recv(65536):
        pass
    connection.close()


def one_sample(engine: Engine, container: str) -> None:
    """What a container uses now."""
    connection = _Connection(str(engine.socket))
    _call(connection, "GET", f"/v1.41/containers/{container}/stats?stream=false&one-shot=true")
    connection.close()


def commit(engine: Engine, container: str, repository: str) -> None:
    """Make an image of a container."""
    connection = _Connection(str(engine.socket))
    _call(connection, "POST", f"/v1.41/commit?container={container}&repo={repository}")
    connection.close()


def _create(connection: _Connection, network: str) -> str:
    host = {"AutoRemove": True, "NetworkMode": network}
    body = {"Image": "busybox", "Cmd": ["/bin/true"], "HostConfig": host}
    return str(_call(connection, "POST", "/v1.41/containers/create", body)["Id"])


def _wait(connection: _Connection, container: str) -> None:
    connection.request("POST", f"/v1.41/containers/{container}/wait")
    answer = connection.getresponse()
    answer.read()
    # A container that has been removed already has certainly ended.
    assert answer.status in {200, 404}, answer.status


def _call(connection: _Connection, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status < 300, (path, answer.status, data)
    return json.loads(data) if data[:1] in {b"{", b"["} else None


def read_logs(engine: Engine, container: str) -> bytes:
    """All that a container's log answers, frames and all."""
    connection = _Connection(str(engine.socket))
    connection.request("GET", f"/v1.41/containers/{container}/logs?stdout=1&stderr=1")
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, (answer.status, data)
    connection.close()
    return data


def send_archive(engine: Engine, container: str, path: str, archive: Path) -> None:
    """Unpack a tar file in a container."""
    connection = _Connection(str(engine.socket))
    with archive.open("rb") as file:
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
        connection.putrequest("PUT", f"/v1.41/containers/{container}/archive?path={path}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.sock.sendfile(file)
    answer = connection.getresponse()
    assert answer.status == 200, (answer.status, answer.read())
    answer.read()
    connection.close()


def take_archive(engine: Engine, container: str, path: str) -> None:
    """Read what stands at a path in a container as a tar, to its end."""
    connection = _Connection(str(engine.socket))
    connection.request("GET", f"/v1.41/containers/{container}/archive?path={path}")
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    buffer = bytearray(1 << 20)
    while answer.readinto(buffer):
        pass
    connection.close()
