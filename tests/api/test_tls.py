"""TLS in front of plain connections: who is let in, and that nothing is lost when one side ends first."""

import asyncio
import hashlib
import socket
import ssl
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from wherry.api.answers import nothing
from wherry.api.hijack import RAW, hijack
from wherry.api.server import serving
from wherry.api.tls import server_context
from wherry.model.errors import InvalidParameter

MEGABYTES = 16
REQUEST = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
UPGRADE = b"POST /attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def serve_tls(routes, certificates):
    @asynccontextmanager
    async def serve_tls(*, verify: bool = False):
        context = server_context(
            certificate=certificates / "server.pem",
            key=certificates / "server-key.pem",
            clients_ca=certificates / "ca.pem" if verify else None,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        async with serving(None, routes) as server:
            await server.listen(listener, context)
            yield address

    return serve_tls


@pytest.fixture
def connect(certificates):
    """A blocking TLS connection; Python's own can shut down its sending half."""

    @contextmanager
    def connect(address, *, name="", newest=None):
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        if newest:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.maximum_version = newest
        if name:
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}-key.pem")
        with (
            socket.create_connection(address, timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            yield tls

    return connect


def read_all(tls) -> bytes:
    data = b""
    while piece := tls.recv(65536):
        data += piece
    return data


@pytest.fixture
def ping(routes):
    @routes.route("GET", "/_ping")
    async def ping(call):
        return nothing(200)


def ask(connect, address, **options) -> bytes:
    with connect(address, **options) as tls:
        tls.sendall(REQUEST)
        return read_all(tls)


async def test_requests_are_answered(serve_tls, connect, ping):
    async with serve_tls() as address:
        assert (await asyncio.to_thread(ask, connect, address)).startswith(b"HTTP/1.1 200 OK")


async def test_clients_must_show_a_certificate_of_the_right_authority(serve_tls, connect, ping):
    async with serve_tls(verify=True) as address:
        assert (await asyncio.to_thread(ask, connect, address, name="client")).startswith(b"HTTP/1.1 200 OK")
        for wrong in ("", "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(ask, connect, address, name=wrong)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
async def test_old_versions_of_tls_are_refused(serve_tls, connect, ping):
    async with serve_tls() as address:
        with pytest.raises((ssl.SSLError, ConnectionError)), pytest.warns(DeprecationWarning, match="TLSv1"):
            await asyncio.to_thread(ask, connect, address, newest=ssl.TLSVersion.TLSv1_1)
        answered = await asyncio.to_thread(ask, connect, address, newest=ssl.TLSVersion.TLSv1_2)
        assert answered.startswith(b"HTTP/1.1 200 OK")


async def test_plain_http_is_told_what_it_met(serve_tls, ping):
    async with serve_tls() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        assert b"Client sent an HTTP request to an HTTPS server." in await reader.read()
        writer.close()


def hash_back(client: socket.socket) -> None:
    """What `sha256sum` in a container would do: read to the end, then answer."""
    client.setblocking(True)
    digest = hashlib.sha256()
    while data := client.recv(65536):
        digest.update(data)
    client.sendall(digest.hexdigest().encode())
    client.close()


async def test_a_client_that_ends_first_loses_nothing(serve_tls, certificates, routes):
    """The client half-closes after much data and only then gets its answer (openssl s_client can do so)."""

    async def takeover(client):
        threading.Thread(target=hash_back, args=(client,), daemon=True).start()

    @routes.route("POST", "/attach")
    async def attach(call):
        return await hijack(call, takeover, content_type=RAW, framed=True)

    data = bytes(range(256)) * 4096 * MEGABYTES
    async with serve_tls() as (address, port):
        client = HalfClosing(certificates / "ca.pem")
        answered = await asyncio.to_thread(client.talk, (address, port), data)
    assert answered.decode() == hashlib.sha256(data).hexdigest()


class HalfClosing:
    """A TLS client that sends close_notify and reads on, as Go's does."""

    def __init__(self, ca):
        self.context = ssl.create_default_context(cafile=ca)

    def talk(self, address, data):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection(address, timeout=60) as plain:

            def flush():
                # After our own end there is nothing left to say, and even an empty send would be an error.
                if outgoing.pending:
                    plain.sendall(outgoing.read())

            def until_done(step):
                while True:
                    try:
                        result = step()
                    except ssl.SSLWantReadError:
                        flush()
                        received = plain.recv(65536)
                        incoming.write(received) if received else incoming.write_eof()
                    else:
                        flush()
                        return result

            until_done(tls.do_handshake)
            until_done(lambda: tls.write(UPGRADE))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += until_done(lambda: tls.read(1))
            for start in range(0, len(data), 65536):
                piece = data[start : start + 65536]
                until_done(lambda piece=piece: tls.write(piece))
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
            plain.sendall(outgoing.read())
            plain.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                try:
                    piece = until_done(lambda: tls.read(65536))
                except ssl.SSLZeroReturnError:
                    return answer
                if not piece:
                    return answer
                answer += piece


async def test_a_server_that_ends_first_is_heard_to_the_end(serve_tls, connect, routes):
    async def takeover(client):
        loop = asyncio.get_running_loop()
        with client:
            await loop.sock_sendall(client, b"x" * 1_000_000)

    @routes.route("POST", "/attach")
    async def attach(call):
        return await hijack(call, takeover, content_type=RAW, framed=True)

    def attached(address):
        with connect(address) as tls:
            tls.sendall(UPGRADE)
            return read_all(tls)

    async with serve_tls() as address:
        answered = await asyncio.to_thread(attached, address)
    assert answered.endswith(b"\r\n\r\n" + b"x" * 1_000_000)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InvalidParameter, match="Could not load X509 key pair"):
        server_context(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem", clients_ca=None)
