"""The engine's own share: requests over the socket without any command line."""

import http.client
import json
import socket
from typing import Any

from bench.engines import Engine


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def create_start_wait(engine: Engine) -> None:
    """Create a container on the default bridge, start it, wait for its end; removed outside of what counts."""
    connection = _Connection(str(engine.socket))
    body = {"Image": "busybox", "Cmd": ["/bin/true"], "HostConfig": {"AutoRemove": True}}
    made = _call(connection, "POST", "/v1.41/containers/create", body)
    _call(connection, "POST", f"/v1.41/containers/{made['Id']}/start")
    _wait(connection, made["Id"])
    connection.close()


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
    return json.loads(data) if data else None


def read_logs(engine: Engine, container: str) -> bytes:
    """All that a container's log answers, frames and all."""
    connection = _Connection(str(engine.socket))
    connection.request("GET", f"/v1.41/containers/{container}/logs?stdout=1&stderr=1")
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, (answer.status, data)
    connection.close()
    return data
