"""The same bytes asked again are answered without a parser: as it would, in turn, and never in the wrong place."""

import asyncio
import re

import pytest
from aiohttp.web import Response

from wherry.api.answers import answer, nothing
from wherry.api.shortcuts import HEAD_BYTES_MAX, KNOWN_MAX, Shortcuts
from wherry.model.errors import NotFound

HEAD = b"GET /v1.51/number HTTP/1.1\r\nHost: x\r\nUser-Agent: it\r\n\r\n"


@pytest.fixture
def shop(routes):
    """A number that can be asked for, and one that takes its time. Counts what the parser's side was asked."""

    class Shop:
        number = 0
        is_there = True
        waits = None

    shop = Shop()

    @routes.question("GET", "/number", "/numbers/{name}")
    async def number(asked):
        if not shop.is_there:
            raise NotFound("No such number")
        if shop.waits is not None:
            await shop.waits.wait()
        return answer({"number": shop.number, "name": asked.name, "version": str(asked.version)})

    @routes.route("GET", "/slow")
    async def slow(_call):
        await shop.slow.wait()
        return answer({"slow": True})

    @routes.route("POST", "/number")
    async def change(call):
        shop.number = int(await call.request.read())
        return nothing()

    @routes.route("POST", "/refused")
    async def refused(_call):
        raise NotFound("not read")

    return shop


@pytest.fixture
def told(monkeypatch):
    """Every answer that was given at once."""
    given = []
    written = Shortcuts._written

    def note(self, response):
        given.append(written(self, response))
        return given[-1]

    monkeypatch.setattr(Shortcuts, "_written", note)
    return given


class Line:
    """A connection that is kept."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, data=HEAD):
        self.writer.write(data)
        return await self.answer()

    async def answer(self):
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            return head + await self.reader.readexactly(int(length[1]) if length else 0)


@pytest.fixture
async def line(serve, shop):
    async with serve() as wire:
        reader, writer = await wire.open()
        yield Line(reader, writer)
        writer.transport.abort()


def undated(answered):
    return re.sub(rb"Date: [^\r]*", b"Date:", answered)


async def test_it_says_what_the_parser_s_side_says(line, told):
    first = await line.ask()
    assert told == []
    for count in (1, 2, 3):
        assert undated(await line.ask()) == undated(first)
        assert len(told) == count
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", told[0])


async def test_another_connection_knows_it_too_and_other_bytes_are_another_question(serve, shop, told):
    async with serve() as wire:
        for number in range(4):
            reader, writer = await wire.open()
            await Line(reader, writer).ask(HEAD.replace(b"number", b"numbers/%d" % (number % 2)))
            writer.close()
            await writer.wait_closed()
    assert [re.search(rb'"name":"(\d)"', each)[1] for each in told] == [b"0", b"1"]


async def test_the_answer_is_of_now(line, shop, told):
    await line.ask()
    shop.number = 7
    assert b'"number":7' in await line.ask()
    assert len(told) == 1
    shop.is_there = False
    assert b"404 Not Found" in await line.ask()
    shop.is_there = True
    assert b'"number":7' in await line.ask()


async def test_what_has_to_wait_goes_the_long_way(line, shop, told):
    await line.ask()
    shop.waits = asyncio.Event()
    line.writer.write(HEAD)
    asyncio.get_running_loop().call_later(0.01, shop.waits.set)
    assert b'"number":0' in await line.answer()
    assert told == []


async def test_what_may_have_to_wait_is_not_begun_there(line, told):
    for _ in range(20):
        assert b'"number":0' in await line.ask(HEAD.replace(b"number", b"number?size=1"))
    assert told == []


async def test_what_comes_while_another_is_answered_waits_for_its_turn(line, shop, told):
    await line.ask()
    shop.slow = asyncio.Event()
    line.writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await line.writer.drain()
    await asyncio.sleep(0.01)
    line.writer.write(HEAD)
    await asyncio.sleep(0.01)
    shop.slow.set()
    assert b"slow" in await line.answer()
    assert b"number" in await line.answer()
    assert told == []


async def test_what_came_while_another_was_answered_is_not_taken_for_it(line, shop, told):
    """The first one's handler begins when the bytes of the second are already here."""
    other = HEAD.replace(b"number", b"numbers/other")
    line.writer.write(HEAD)
    await asyncio.sleep(0)
    line.writer.write(other)
    assert b'"name":""' in await line.answer()
    assert b'"name":"other"' in await line.answer()
    assert b'"name":"other"' in await line.ask(other)
    assert b'"name":""' in await line.ask()


POST = b"POST /number HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "is_known"),
    [
        ([POST + b"42"], True),
        ([POST, b"42"], True),
        ([POST, b"4", b"2"], True),
        ([POST[:10], POST[10:] + b"42"], False),
    ],
)
async def test_requests_with_a_body_may_come_before(line, told, pieces, is_known):
    """But when a head comes in two pieces, it is not known any more where a request ends."""
    await line.ask()
    for piece in pieces:
        line.writer.write(piece)
        await asyncio.sleep(0.01)
    assert b"204 No Content" in await line.answer()
    for _ in range(20):  # the first may come when the server has not yet turned from its answer
        assert b'"number":42' in await line.ask()
    assert bool(told) == is_known


@pytest.mark.parametrize(
    "before",
    [
        b"POST /number HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HEAD),
        b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * len(HEAD)),
        b"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Header: ",
        HEAD + b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Header: ",
        b"GET /number HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    ],
)
async def test_the_same_bytes_within_another_request_are_part_of_it(line, shop, told, before):
    shop.slow = asyncio.Event()
    shop.slow.set()
    await line.ask()
    line.writer.write(before)
    await asyncio.sleep(0.02)
    line.writer.write(HEAD)
    await asyncio.sleep(0.02)
    assert told == []


async def test_a_client_that_does_not_read_is_not_answered_further(line, shop, told):
    shop.number = 10**3000
    await line.ask()
    for _ in range(1000):
        line.writer.write(HEAD)
        for _ in range(5):
            await asyncio.sleep(0)  # the server's turn
    assert 0 < len(told) < 500
    for _ in range(1000):
        assert b"200 OK" in await line.answer()


async def test_a_request_that_ends_its_connection_ends_it_each_time(serve, shop, told):
    async with serve() as wire:
        for _ in range(3):
            assert b"number" in await wire.raw(HEAD.replace(b"User-Agent: it", b"Connection: close"))
    assert told == []


async def test_no_more_is_remembered_than_there_is_room_for():
    called = []
    known = Shortcuts(lambda: called.append(1))

    async def ask():
        return Response(body=b"x")

    for number in range(KNOWN_MAX + 10):
        known.learn(b"%d" % number, ask)
    known.learn(b"x" * (HEAD_BYTES_MAX + 1), ask)
    assert known.answer(b"x" * (HEAD_BYTES_MAX + 1)) is None
    assert known.answer(b"9") is None
    assert known.answer(b"10").endswith(b"\r\n\r\nx")
    assert len(called) == 1
    known.learn(b"more", ask)
    assert known.answer(b"11") is None  # it was not asked again
    assert known.answer(b"10") is not None
    assert len(known._known) == KNOWN_MAX
