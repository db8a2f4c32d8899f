"""The asynchronous client: the same calls, negotiation and errors, and what only waiting in a loop can do."""

import asyncio
import socket
import threading

import pytest

from wherry.client import containers, system
from wherry.client.address import Tls, parse
from wherry.client.aio import AsyncClient, AsyncConnection, AsyncWire
from wherry.client.call import Call
from wherry.client.dial import Wire
from wherry.client.errors import NotFound, ProtocolError, TimedOut, Unreachable
from wherry.client.tls import TlsWire, context


@pytest.fixture
def address(server):
    return parse(f"unix://{server.server_address}")


@pytest.fixture
async def client(address):
    made = AsyncClient(address)
    yield made
    made.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield AsyncConnection(AsyncWire(Wire(ours))), theirs
    ours.close()
    theirs.close()


async def test_it_negotiates_reuses_its_connection_and_reads_json(server, client):
    server.api_version = "1.44"
    server.routes["info"] = lambda handler: handler.answer(200, b'{"ID": "x"}')
    server.routes["containers/a/start"] = lambda handler: handler.answer(204)
    assert await client.json(system.info()) == {"ID": "x"}
    assert await client.json(containers.start("a")) is None
    assert [path for _, path, _ in server.requests] == ["/v1.51/info", "/v1.44/info", "/v1.44/containers/a/start"]
    assert server.connections == 1


async def test_what_changes_something_asks_for_the_version_first(server, client):
    server.routes["containers/a/start"] = lambda handler: handler.answer(204)
    await client.json(containers.start("a"))
    assert [path for _, path, _ in server.requests] == ["/_ping", "/v1.51/containers/a/start"]


async def test_errors_are_the_same_classes(client, tmp_path):
    with pytest.raises(NotFound, match="page not found"):
        await client.json(containers.inspect("a"))
    with pytest.raises(Unreachable):
        await AsyncClient(parse(f"unix://{tmp_path}/none")).json(system.info())


async def test_a_silent_daemon_times_out(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client = AsyncClient(parse(f"unix://{tmp_path}/s"))
        with pytest.raises(TimedOut):
            await client.json(system.info(), seconds=0.01)


async def test_a_body_in_pieces_goes_out_while_the_answer_is_read(server, client):
    def take(handler):
        sizes = []
        while size := int(handler.rfile.readline(), 16):
            sizes.append(len(handler.rfile.read(size)))
            handler.rfile.readline()
        handler.rfile.readline()
        handler.answer(200, b'{"sum": %d}' % sum(sizes))

    server.routes["images/load"] = take
    pieces = (b"x" * 100_000 for _ in range(20))
    assert await client.json(Call("POST", "/images/load", body=pieces)) == {"sum": 2_000_000}


async def test_a_stream_can_be_left_before_and_in_its_midst(server, client):
    def stream(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b'{"n": 1}\n{"n": 2}\n')
        handler.wfile.flush()
        handler.rfile.read(1)  # until the client leaves
        handler.close_connection = True

    server.routes["events"] = stream
    answer = await client.send(system.events())
    lines = answer.lines()
    assert [await anext(lines), await anext(lines)] == [{"n": 1}, {"n": 2}]
    await lines.aclose()
    await answer.close()
    await (await client.send(system.events())).close()


async def test_closing_ends_the_task_that_waits(pair):
    connection, _ = pair
    waiting = asyncio.create_task(connection.wire.recv())
    await asyncio.sleep(0)
    connection.close()
    with pytest.raises(ConnectionAbortedError):
        await waiting


async def test_cancelling_leaves_the_connection_usable(pair):
    connection, server = pair
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.wire.recv(), 0.01)
    server.sendall(b"later")
    assert await connection.wire.recv() == b"later"


async def test_more_than_a_buffer_holds_is_sent_while_the_other_side_reads(pair):
    connection, server = pair
    data = bytes(range(256)) * 20_000
    sending = asyncio.create_task(connection.wire.sendall(data))

    def receive():
        got = b""
        while len(got) < len(data):
            got += server.recv(1 << 20)
        return got

    assert await asyncio.to_thread(receive) == data
    await sending


async def test_an_answer_that_breaks_off_is_a_protocol_error(pair):
    connection, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    server.shutdown(socket.SHUT_WR)
    head = await connection.read_head()
    with pytest.raises(ProtocolError, match="unexpected EOF"):
        [piece async for piece in connection.body(head, method="GET")]


async def test_over_tls_nothing_is_lost_after_the_half_close(certificate, dialled):
    def answer_after_the_end(read, write):
        size = 0
        while data := read():
            size += len(data)
        write(b"%d " % size * 100_000)

    plain = await asyncio.to_thread(dialled, answer_after_the_end)
    made = context(Tls(verify=True, ca=str(certificate / "cert.pem")))
    wire = AsyncWire(await asyncio.to_thread(TlsWire, plain, made, "localhost"))
    await wire.sendall(bytes(3_000_000))
    await wire.half_close()
    answer = b""
    while data := await wire.recv():
        answer += data
    wire.close()
    assert answer == b"3000000 " * 100_000


async def test_a_waiting_wire_over_tls_times_out_and_goes_on(certificate, dialled):
    said = threading.Event()
    plain = await asyncio.to_thread(dialled, lambda read, write: said.wait(10) and write(b"late"))
    wire = AsyncWire(await asyncio.to_thread(TlsWire, plain, context(Tls(verify=False)), "localhost"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wire.recv(), 0.01)
    said.set()
    assert await wire.recv() == b"late"
    wire.close()
