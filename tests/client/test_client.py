"""The client against a real HTTP server on a unix socket."""

import hashlib
import os
import threading
from contextlib import suppress

import pytest

from wherry.client import containers, system
from wherry.client.address import parse
from wherry.client.call import Call
from wherry.client.client import Client, negotiate
from wherry.client.errors import ApiError, Conflict, Forbidden, NotFound, ProtocolError, TimedOut, Unreachable


def test_the_version_is_negotiated_once_and_is_at_most_the_daemons(server, client):
    server.api_version = "1.41"
    server.routes["containers/json"] = lambda request: request.answer(200, b"[]")
    assert client.json(containers.listing()) == []
    assert client.json(containers.listing(all_states=True)) == []
    assert [path for _, path, _ in server.requests] == [
        "/v1.51/containers/json",  # says the daemon's version like any answer
        "/v1.41/containers/json",
        "/v1.41/containers/json?all=1",
    ]


def test_what_changes_something_is_sent_in_a_version_that_the_daemon_knows(server, client):
    server.api_version = "1.41"
    server.routes["containers/x/start"] = lambda request: request.answer(204)
    client.send(containers.start("x"))
    assert [path for _, path, _ in server.requests] == ["/_ping", "/v1.41/containers/x/start"]


def test_a_daemon_of_our_version_is_asked_once(server, client):
    server.routes["containers/json"] = lambda request: request.answer(200, b"[]")
    assert client.json(containers.listing()) == []
    assert client.version == "1.51"
    assert [path for _, path, _ in server.requests] == ["/v1.51/containers/json"]


def test_all_calls_go_over_one_connection(server, client):
    server.routes["containers/json"] = lambda request: request.answer(200, b"[]")
    for _ in range(3):
        client.json(containers.listing())
    assert server.connections == 1


@pytest.mark.parametrize(("server_says", "spoken"), [("", "1.24"), ("1.9", "1.9"), ("1.41", "1.41"), ("1.99", "1.51")])
def test_versions_are_compared_as_numbers(server_says, spoken):
    assert negotiate(server_says) == spoken


def test_a_refusal_becomes_the_error_of_its_status_with_the_daemons_words(server, client):
    server.routes["containers/x/json"] = lambda request: request.answer(404, b'{"message":"No such container: x"}')
    server.routes["containers/x/start"] = lambda request: request.answer(409, b"plain words\n", "text/plain")
    server.routes["containers/x/stop"] = lambda request: request.answer(418, b"")
    with pytest.raises(NotFound, match="Error response from daemon: No such container: x"):
        client.json(containers.inspect("x"))
    with pytest.raises(Conflict) as caught:
        client.send(containers.start("x"))
    assert (caught.value.status, caught.value.message) == (409, "plain words")
    with pytest.raises(ApiError, match="request returned I'm a Teapot"):
        client.send(containers.stop("x"))


def test_a_connection_stays_usable_after_a_refusal(server, client):
    server.routes["containers/json"] = lambda request: request.answer(200, b"[1]")
    with pytest.raises(NotFound):
        client.json(containers.inspect("nosuch"))
    assert client.json(containers.listing()) == [1]
    assert server.connections == 1


def test_names_from_users_cannot_leave_their_part_of_the_path(server, client):
    with pytest.raises(NotFound):
        client.json(containers.inspect("a/../b?c#d e"))
    assert server.requests[-1][1] == "/v1.51/containers/a%2F..%2Fb%3Fc%23d%20e/json"


def test_an_absent_socket_is_told_apart_from_a_forbidden_one(tmp_path):
    with pytest.raises(Unreachable) as caught:
        Client(parse(f"unix://{tmp_path}/nosuch")).connect()
    assert caught.value.absent
    assert "Cannot connect to the Wherry daemon at unix://" in str(caught.value)
    assert issubclass(Forbidden, Exception)


def test_several_calls_may_be_under_way(server, client):
    server.routes["containers/a/wait"] = lambda request: request.answer(200, b'{"StatusCode":1}')
    server.routes["containers/b/wait"] = lambda request: request.answer(200, b'{"StatusCode":2}')
    first, second = client.begin(containers.wait("a")), client.begin(containers.wait("b"))
    assert [second.json()["StatusCode"], first.json()["StatusCode"]] == [2, 1]


def chunked(request, pieces):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    for piece in pieces:
        request.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
    request.wfile.write(b"0\r\n\r\n")


def test_lines_are_found_however_the_chunks_are_cut(server, client):
    pieces = [b'{"a"', b':1}\r\n{"b":', b"2}\n\n", b'{"c":3}']
    server.routes["events"] = lambda request: chunked(request, pieces)
    assert list(client.send(Call("GET", "/events")).lines()) == [{"a": 1}, {"b": 2}, {"c": 3}]


def read_chunks(stream):
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


def test_a_streamed_body_goes_out_while_the_answer_comes_in(server, client):
    """Both directions carry more than all buffers hold: who does one thing at a time stands still here."""

    def load(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        digest = hashlib.sha256()
        for piece in read_chunks(request.rfile):
            digest.update(piece)
            line = b'{"progress":"' + b"x" * len(piece) + b'"}\n'
            request.wfile.write(b"%x\r\n" % len(line) + line + b"\r\n")
        last = b'{"digest":"%s"}\n' % digest.hexdigest().encode()
        request.wfile.write(b"%x\r\n" % len(last) + last + b"\r\n0\r\n\r\n")

    server.routes["images/load"] = load
    pieces = [os.urandom(1 << 18) for _ in range(40)]
    messages = list(client.send(Call("POST", "/images/load", body=iter(pieces))).lines())
    assert len(messages) == 41
    assert messages[-1]["digest"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_refusal_is_read_although_the_body_was_not_taken(server, client):
    def refuse(request):
        request.close_connection = True
        request.answer(400, b'{"message":"no"}')

    server.routes["images/load"] = refuse
    with pytest.raises(ApiError, match="no"):
        client.send(Call("POST", "/images/load", body=(b"x" * 100000 for _ in range(1000))))


def test_a_hijacked_connection_carries_bytes_both_ways(server, client):
    def hijack(request):
        request.close_connection = True
        request.wfile.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly")
        request.wfile.flush()
        request.wfile.write(request.rfile.read().upper())

    server.routes["containers/x/attach"] = hijack
    connection = client.hijack(containers.attach("x", stdin=True, stdout=True, stderr=True))
    data = connection.leftover()
    connection.wire.sendall(b"hello")
    connection.wire.half_close()
    while piece := connection.wire.recv():
        data += piece
    connection.wire.close()
    assert data == b"earlyHELLO"


def test_what_is_not_json_is_a_protocol_error(server, client):
    server.routes["containers/json"] = lambda request: request.answer(200, b"{oops")
    with pytest.raises(ProtocolError, match="invalid JSON from the daemon"):
        client.json(containers.listing())


def test_a_silent_daemon_times_out_in_its_head_and_in_its_body(server, client):
    def stall(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.wfile.flush()
        wait(handler)

    def wait(handler):
        handler.close_connection = True
        with suppress(ConnectionError):
            handler.rfile.read(1)  # until the client leaves

    server.routes["info"] = stall
    answer = client.send(system.info(), seconds=0.05)
    with pytest.raises(TimedOut):
        answer.read()
    server.routes["version"] = wait
    with pytest.raises(TimedOut):
        client.json(system.version(), seconds=0.05)
    server.routes["info"] = lambda handler: handler.answer(200, b"{}")
    assert client.json(system.info()) == {}


def test_many_threads_share_few_idle_connections(server):
    made = Client(parse(f"unix://{server.server_address}"), idle_max=2)
    server.routes["info"] = lambda handler: handler.answer(200, b"{}")
    threads = [threading.Thread(target=lambda: [made.json(system.info()) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([path for _, path, _ in server.requests if path.endswith("/info")]) == 160
    connections = server.connections
    assert made.json(system.info()) == {}
    assert server.connections == connections
    made.close()
