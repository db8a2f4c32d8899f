"""TLS that can be closed in one direction."""

import hashlib
import os
import socket
import ssl
import subprocess
import threading

import pytest

from wherry.client.address import Tls
from wherry.client.errors import Unreachable
from wherry.client.tls import TlsWire, context


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


def test_what_comes_after_our_half_close_is_not_lost(certificate, dialled):
    def answer_after_the_end(read, write):
        digest = hashlib.sha256()
        while data := read():
            digest.update(data)
        write(digest.hexdigest().encode() * 1000)

    plain = dialled(answer_after_the_end)
    wire = TlsWire(plain, context(Tls(verify=True, ca=str(certificate / "cert.pem"))), "localhost")
    payload = os.urandom(3_000_000)
    wire.sendall(payload)
    wire.half_close()
    answer = b""
    while data := wire.recv():
        answer += data
    wire.close()
    assert answer == hashlib.sha256(payload).hexdigest().encode() * 1000


def test_a_stranger_is_not_trusted(certificate, dialled):
    plain = dialled(lambda read, write: None)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        TlsWire(plain, context(Tls(verify=True)), "localhost")


def test_without_verification_anyone_will_do(certificate, dialled):
    plain = dialled(lambda read, write: write(b"hello"))
    wire = TlsWire(plain, context(Tls(verify=False)), "localhost")
    assert wire.recv() == b"hello"
    wire.close()
