"""A daemon of few words on a unix socket, and one that speaks TLS, for tests of the client."""

import http.server
import socket
import socketserver
import ssl
import subprocess
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return directory


def serve(listener, certificate, talk):
    """Answer one connection by `talk`, which is given the socket and an unwrapped TLS object's read and write."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    plain, _ = listener.accept()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = made.wrap_bio(incoming, outgoing, server_side=True)

    def step(action):
        while True:
            try:
                value = action()
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                data = plain.recv(65536)
                incoming.write(data) if data else incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            else:
                plain.sendall(outgoing.read())
                return value

    try:
        step(tls.do_handshake)
        talk(lambda: step(lambda: tls.read(65536)), lambda data: step(lambda: tls.write(data)))
    except (OSError, ssl.SSLError):
        pass
    plain.close()


@pytest.fixture
def dialled(certificate):
    threads = []
    listener = socket.create_server(("127.0.0.1", 0))

    def dial(talk):
        thread = threading.Thread(target=serve, args=(listener, certificate, talk))
        thread.start()
        threads.append(thread)
        return socket.create_connection(listener.getsockname())

    yield dial
    for thread in threads:
        thread.join()
    listener.close()
