"""Bodies say that they are JSON, or are refused in the words of Go's mime package."""

import pytest

from wherry.api.answers import answer
from wherry.api.body import read_json
from wherry.engine.exec_record import ExecRequest

REFUSED = {
    "text/plain": "unsupported Content-Type header (text/plain): must be 'application/json'",
    "text/json": "unsupported Content-Type header (text/json): must be 'application/json'",
    "/": "malformed Content-Type header (/): mime: no media type",
    "a b": "malformed Content-Type header (a b): mime: expected slash after first token",
    "application/json; x": "malformed Content-Type header (application/json; x): mime: invalid media parameter",
}


@pytest.fixture
def exec_route(routes):
    @routes.route("POST", "/exec")
    async def create(call):
        request = await read_json(call.request, ExecRequest, root="ExecOptions")
        return answer({"user": request.user})


@pytest.mark.parametrize("said", REFUSED)
async def test_other_media_types_are_refused(said, serve, exec_route):
    async with serve() as wire:
        refused = await wire.ask("POST", "/exec", b"{}", Content_Type=said)
        assert (refused.status, refused.body.decode()) == (400, f'{{"message":"{REFUSED[said]}"}}\n')


@pytest.mark.parametrize(
    "said", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json;"]
)
async def test_json_may_be_said_in_several_ways(said, serve, exec_route):
    async with serve() as wire:
        assert (await wire.ask("POST", "/exec", b'{"user":"u"}', Content_Type=said)).body == b'{"user":"u"}\n'


async def test_no_body_is_a_record_of_defaults_and_needs_no_media_type(serve, exec_route):
    async with serve() as wire:
        assert (await wire.ask("POST", "/exec")).body == b'{"user":""}\n'
        chunked = await wire.raw(
            b"POST /exec HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\n\r\n"
        )
        assert b"malformed Content-Type header (): mime: no media type" in chunked
