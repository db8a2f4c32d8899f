"""HTTP by the byte, over a socket pair."""

import socket

import pytest

from wherry.client.dial import Wire
from wherry.client.errors import ProtocolError
from wherry.client.http import Connection, parse_head, request_head


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    connection = Connection(Wire(ours))
    yield connection, theirs
    ours.close()
    theirs.close()


def read(connection, method="GET"):
    head = connection.read_head()
    return head.status, b"".join(connection.body(head, method=method))


def test_bodies_by_length_chunks_and_end(pair):
    connection, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert read(connection) == (200, b"hello")
    assert connection.reusable
    server.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert read(connection) == (200, b"abcde")
    assert connection.reusable
    server.sendall(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    server.close()
    assert read(connection) == (200, b"to the end")
    assert not connection.reusable


def test_answers_without_body_need_no_length(pair):
    connection, server = pair
    server.sendall(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n")
    assert read(connection) == (204, b"")
    assert read(connection) == (304, b"")
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    assert read(connection, "HEAD") == (200, b"")


def test_interim_answers_are_skipped_but_101_is_an_answer(pair):
    connection, server = pair
    server.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 UPGRADED\r\n\r\nfirst bytes")
    assert connection.read_head().status == 101
    assert connection.leftover() == b"first bytes"


def test_a_connection_that_wants_to_close_is_not_reused(pair):
    connection, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert read(connection) == (200, b"")
    assert not connection.reusable


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 20",
    ],
)
def test_what_is_no_http_is_a_protocol_error(pair, data):
    connection, server = pair
    server.sendall(data)
    server.close()
    with pytest.raises(ProtocolError):
        read(connection)


def test_a_header_cannot_break_out_of_its_line():
    with pytest.raises(ValueError, match="line break"):
        request_head("GET", "/", {"X": "a\r\nEvil: 1"})


def test_header_names_have_no_case():
    assert parse_head(b"HTTP/1.1 200 OK\r\nApi-VERSION: 1.51").headers == {"api-version": "1.51"}
