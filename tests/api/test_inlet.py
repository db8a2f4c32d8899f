"""Bodies that never pass the HTTP server: all framings, in pieces of any size, wrong, broken and refused ones."""

import asyncio
import os
import random

import pytest
from tests.api.conftest import parse

from wherry.api.body import stream
from wherry.api.hijack import Hijacked
from wherry.api.inlet import answering, take_body
from wherry.engine.aside import aside
from wherry.model.errors import NotFound
from wherry.storage.framing import FramedBody

DATA = random.Random(3).randbytes(700_001)
HEAD = b"PUT /containers/c/archive?path=/ HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunked(data, size, extension=b""):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n\r\n"


class Sink:
    """Where bodies go: a pipe that somebody reads, as a worker does."""

    def __init__(self):
        self.came = b""
        self.first = None
        self.refuses = False
        self.reads = True
        self.is_released = False
        self.begun = []

    async def take(self, call):
        inlet = take_body(call)
        assert inlet is not None
        await call.verbs.run(answering(call, inlet, self._read(inlet)))
        return Hijacked()

    async def _read(self, inlet):
        if self.refuses:
            raise NotFound("no such thing")
        self.begun.append(inlet)
        self.first = await inlet.first(6)
        if self.is_released:
            self.came = await asyncio.to_thread(read_released, inlet.release())
            return
        reading, writing = os.pipe()
        with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as into:
            if self.reads:
                task = aside(pipe.read)
            else:
                pipe.close()
            try:
                await inlet.pour(into.fileno())
            finally:
                into.close()
                self.came = await task if self.reads else b""


def read_released(unread):
    """As a worker does that the connection is given to."""
    body = FramedBody(unread.connection.recv, unread.already, unread.length)
    came = b""
    while body.goes_on():
        came += body.take(1 << 20)
    return came


@pytest.fixture
def sink(routes):
    sink = Sink()
    routes.add("PUT", "/containers/{name}/archive", sink.take)
    return sink


async def said(wire, *pieces):
    """What is answered to bytes that come piece by piece."""
    reader, writer = await wire.open()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    try:
        return parse(await reader.read())
    finally:
        writer.close()


@pytest.mark.parametrize("size", [1 << 20, 262_144, 32_768, 4_099, 700])
async def test_chunks_of_any_size_arrive_as_they_are(serve, sink, size):
    async with serve() as wire:
        answered = await said(wire, CHUNKED, chunked(DATA, size))
        assert (answered.status, answered.body) == (200, b"")
        assert answered.headers["Connection"] == "close"
        assert sink.came == DATA
        assert sink.first == DATA[:6] or len(sink.first) > 6


@pytest.mark.parametrize("split", [1, 7, 1000, 65_536, 500_000])
async def test_a_body_that_comes_in_pieces(serve, sink, split):
    async with serve() as wire:
        whole = chunked(DATA[:100_000], 40_000, b";a=b") if split < 1000 else chunked(DATA, 40_000)
        pieces = [whole[at : at + split] for at in range(0, len(whole), split)]
        assert (await said(wire, CHUNKED + pieces[0], *pieces[1:])).status == 200
        assert sink.came == (DATA[:100_000] if split < 1000 else DATA)


@pytest.mark.parametrize("split", [1, 1000, 500_000])
@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_connection_that_is_given_away_tells_all_of_it(serve, sink, split, is_chunked):
    sink.is_released = True
    async with serve() as wire:
        data = DATA if split > 1 else DATA[:3000]
        body = chunked(data, 40_000) if is_chunked else data
        head = CHUNKED if is_chunked else HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
        pieces = [body[at : at + split] for at in range(0, len(body), split)]
        assert (await said(wire, head + pieces[0], *pieces[1:])).status == 200
        assert sink.came == data
        assert len(sink.first) >= 6


@pytest.mark.parametrize("data", [b"x", DATA], ids=["a byte", "much"])
async def test_a_body_of_known_length(serve, sink, data):
    async with serve() as wire:
        head = HEAD + b"Content-Length: %d\r\n\r\n" % len(data)
        assert (await said(wire, head + data[:9], data[9:])).status == 200
        assert sink.came == data


async def test_a_client_that_waits_for_it_is_told_to_go_on(serve, sink):
    async with serve() as wire:
        reader, writer = await wire.open()
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert parse(await reader.read()).status == 200
        assert sink.came == b"hello"
        writer.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"xyz\r\n", "invalid byte in chunk length"),
        (b"\r\n", "invalid byte in chunk length"),
        (b"-5\r\nhello\r\n", "invalid byte in chunk length"),
        (b"11111111111111111\r\n", "http chunk length too large"),
        (b"5\r\nhelloworld\r\n0\r\n\r\n", "malformed chunked encoding"),
        (b"5" * 9000, "malformed chunked encoding"),
    ],
)
async def test_wrong_framing_is_told(serve, sink, body, words):
    async with serve() as wire:
        answered = await said(wire, CHUNKED, body)
        assert (answered.status, answered.body) == (400, b'{"message":"%s"}\n' % words.encode())


BROKEN_OFF = [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"ffffffffffffffff\r\n" + bytes(9_000)]


@pytest.mark.parametrize("body", BROKEN_OFF)
async def test_a_body_that_breaks_off_is_told(serve, sink, body):
    async with serve() as wire:
        reader, writer = await wire.open()
        writer.write(CHUNKED + body)
        writer.write_eof()
        answered = parse(await reader.read())
        assert (answered.status, answered.body) == (400, b'{"message":"unexpected EOF"}\n')
        writer.close()


async def test_who_is_refused_may_send_on_and_reads_why(serve, sink):
    sink.refuses = True
    async with serve() as wire:
        answered = await said(wire, CHUNKED, chunked(DATA * 4, 65_536))
        assert (answered.status, answered.body) == (404, b'{"message":"no such thing"}\n')


async def test_clients_that_send_nothing_for_long_keep_nobody_waiting(serve, sink):
    """There are more of them than threads that all share."""
    async with serve() as wire:
        slow = [await wire.open() for _ in range(60)]
        for _, writer in slow:
            writer.write(CHUNKED + b"5\r\nhel")
        while len(sink.begun) < len(slow):  # noqa: ASYNC110 - its routes tell nobody
            await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            assert (await said(wire, CHUNKED, chunked(DATA, 65_536))).status == 200
            await asyncio.to_thread(lambda: None)
        for reader, writer in slow:
            writer.write(b"lo\r\n0\r\n\r\n")
            assert parse(await reader.read()).status == 200
            writer.close()


async def test_a_worker_that_takes_no_more_is_no_fault_of_the_server(serve, sink, caplog):
    """Whoever poured hears of the broken pipe."""
    sink.reads = False
    async with serve() as wire:
        answered = await said(wire, CHUNKED, chunked(DATA, 65_536))
        assert answered.status == 500
        assert "BrokenPipeError" in caplog.text


@pytest.fixture
def others(routes):
    """Bodies that came by the server, and whether they were held back for somebody to take."""
    came = asyncio.Queue()

    async def read(call):
        is_held = take_body(call) is not None if "take" in call.name else None
        came.put_nowait((is_held, b"".join([piece async for piece in stream(call.request)])))
        return Hijacked()

    routes.add("PUT", "/containers/{name}/archive", read)
    return came


async def test_a_body_that_nobody_takes_comes_by_the_server(serve, others):
    async with serve() as wire:
        _, writer = await wire.open()
        writer.write(CHUNKED + chunked(DATA, 30_000))
        assert await asyncio.wait_for(others.get(), 20) == (None, DATA)
        writer.close()


async def test_so_does_one_whose_head_comes_in_pieces(serve, others):
    async with serve() as wire:
        _, writer = await wire.open()
        writer.write(HEAD.replace(b"/c/", b"/take/"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"Content-Length: 5\r\n\r\nhello")
        assert await asyncio.wait_for(others.get(), 20) == (False, b"hello")
        writer.close()
