"""TLS that can be closed in one direction."""

import hashlib
import os
import socket

import pytest

from wherry.client.address import Tls
from wherry.client.errors import Untrusted
from wherry.client.tls import TlsWire, context


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


def test_what_had_come_before_our_half_close_is_not_lost_either(certificate, dialled):
    """Several records may be here that nobody has read yet."""
    pieces = [os.urandom(10_000) for _ in range(5)]

    def say_pieces(read, write):
        for piece in pieces:
            write(piece)
        read()

    plain = dialled(say_pieces)
    wire = TlsWire(plain, context(Tls(verify=False)), "localhost")
    while len(plain.recv(1 << 20, socket.MSG_PEEK)) < 50_000:  # all of them
        pass
    came = wire.recv()
    wire.half_close()
    while data := wire.recv():
        came += data
    wire.close()
    assert came == b"".join(pieces)


def test_a_stranger_is_not_trusted(certificate, dialled):
    plain = dialled(lambda read, write: None)
    with pytest.raises(Untrusted, match="certificate verify failed"):
        TlsWire(plain, context(Tls(verify=True)), "localhost")


def test_without_verification_anyone_will_do(certificate, dialled):
    plain = dialled(lambda read, write: write(b"hello"))
    wire = TlsWire(plain, context(Tls(verify=False)), "localhost")
    assert wire.recv() == b"hello"
    wire.close()
