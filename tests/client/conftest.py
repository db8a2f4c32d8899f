"""A daemon of few words on a unix socket, for tests of the client."""

import http.server
import socketserver
import threading

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Api-Version", self.server.api_version)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((self.command, self.path, self.rfile.read(length)))
        if self.path.endswith("_ping"):
            return self.answer(200)
        if self.is_too_new():
            return self.answer(400, b'{"message":"client version is too new"}')
        route = self.server.routes.get(self.path.partition("?")[0].partition("/v")[2].partition("/")[2])
        return route(self) if route else self.answer(404, b'{"message":"page not found"}')

    def is_too_new(self):
        """Whether it is asked in a version that it does not know yet, which dockerd refuses."""
        version = self.path.removeprefix("/v").partition("/")[0]
        return [int(part) for part in version.split(".")] > [int(part) for part in self.server.api_version.split(".")]

    do_GET = do_HEAD = do_POST = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, path):
        super().__init__(path, Handler)
        self.api_version = "1.51"
        self.requests = []
        self.routes = {}
        self.connections = 0

    def get_request(self):
        connection, _ = super().get_request()
        self.connections += 1
        return connection, ("client", 0)


@pytest.fixture
def server(tmp_path):
    made = Server(str(tmp_path / "s"))
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def client(server):
    from wherry.client.address import parse
    from wherry.client.client import Client

    made = Client(parse(f"unix://{server.server_address}"))
    yield made
    made.close()
