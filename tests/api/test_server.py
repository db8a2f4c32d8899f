"""The front door: what is served, refused and cancelled, whatever the routes do."""

import asyncio

from wherry.api.answers import answer, nothing, send
from wherry.api.body import JSON_BYTES_MAX, read_bytes
from wherry.model.errors import Conflict, NotModified


async def test_unknown_paths_and_wrong_methods_are_pages_not_found(serve, routes):
    @routes.route("GET", "/info")
    async def info(call):
        return answer({})

    async with serve() as wire:
        for method, target in [
            ("GET", "/nosuch"),
            ("PUT", "/info"),
            ("HEAD", "/info"),
            ("GET", "/info/"),
            ("GET", "/"),
            ("GET", "/v1.51"),
            ("GET", "/v1.51/"),
            ("GET", "/vx/info"),
            ("GET", "/v1.99/nosuch"),
        ]:
            answered = await wire.ask(method, target)
            assert answered.status == 404, target
            assert answered.body in {b'{"message":"page not found"}\n', b""}
            assert answered.headers["Api-Version"] == "1.51"


async def test_paths_are_cleaned_by_a_redirect_that_keeps_version_and_query(serve):
    async with serve() as wire:
        for target, location in [
            ("//info", "/info"),
            ("/v1.51//info?a=b", "/v1.51/info?a=b"),
            ("/%2e%2e/info", "/info"),
            ("/v1.51/../info", "/info"),
            ("/containers//json", "/containers/json"),
        ]:
            answered = await wire.ask("GET", target)
            assert (answered.status, answered.headers["Location"]) == (301, location)


async def test_versions_that_are_not_served_are_named(serve, routes):
    @routes.route("GET", "/info")
    async def info(call):
        return answer({"version": str(call.version)})

    async with serve() as wire:
        assert (await wire.ask("GET", "/info")).body == b'{"version":"1.51"}\n'
        assert (await wire.ask("GET", "/v1.24/info")).body == b'{"version":"1.24"}\n'
        assert (await wire.ask("GET", "/v1.051/info")).body == b'{"version":"1.51"}\n'
        old = await wire.ask("GET", "/v1.23/info")
        assert old.headers["Content-Type"].startswith("text/plain")
        assert old.body == (
            b"client version 1.23 is too old. Minimum supported API version is 1.24, "
            b"please upgrade your client to a newer version\n"
        )
        new = await wire.ask("GET", "/v1.51.1/info")
        assert new.body == b'{"message":"client version 1.51.1 is too new. Maximum supported API version is 1.51"}\n'
        assert (old.status, new.status) == (400, 400)


async def test_a_name_in_a_path_may_hold_slashes_and_escapes(serve, routes):
    @routes.route("GET", "/containers/{name}/json")
    async def inspect(call):
        return answer({"name": call.name})

    async with serve() as wire:
        assert (await wire.ask("GET", "/containers/a/b/json")).body == b'{"name":"a/b"}\n'
        assert (await wire.ask("GET", "/v1.40/containers/a%2Fb%00/json")).body == b'{"name":"a/b\\u0000"}\n'
        assert (await wire.ask("GET", "/containers/json")).status == 404


async def test_errors_become_their_status_and_never_a_traceback(serve, routes):
    @routes.route("POST", "/conflict")
    async def conflict(call):
        raise Conflict("it is <so>")

    @routes.route("POST", "/same")
    async def same(call):
        raise NotModified("already")

    @routes.route("POST", "/bug")
    async def bug(call):
        raise ZeroDivisionError("secret")

    async with serve() as wire:
        refused = await wire.ask("POST", "/conflict")
        assert (refused.status, refused.body) == (409, b'{"message":"it is \\u003cso\\u003e"}\n')
        same_again = await wire.ask("POST", "/same")
        assert (same_again.status, same_again.body) == (304, b"")
        broken = await wire.ask("POST", "/bug")
        assert broken.status == 500
        assert b"secret" not in broken.body
        assert b"Traceback" not in broken.body


async def test_a_verb_ends_although_its_client_left_and_a_stream_does_not_outlive_it(serve, routes):
    begun, let_go, done, ended = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def verb():
        begun.set()
        await let_go.wait()
        done.set()

    @routes.route("POST", "/stop")
    async def stop(call):
        await call.verbs.run(verb())
        return nothing()

    async def forever():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    @routes.route("GET", "/events")
    async def events(call):
        return await send(call.request, forever(), content_type="application/json")

    async with serve() as wire:
        _, writer = await wire.open()
        writer.write(b"POST /stop HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        let_go.set()
        await done.wait()
        reader, writer = await wire.open()
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"first" in await reader.readuntil(b"first")
        writer.close()
        await ended.wait()


async def test_the_server_closes_although_somebody_follows(serve, routes):
    async def forever():
        yield b"first"
        await asyncio.Event().wait()

    @routes.route("GET", "/events")
    async def events(call):
        return await send(call.request, forever(), content_type="application/json")

    async with asyncio.timeout(10):
        async with serve() as wire:
            reader, writer = await wire.open()
            writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"first")
    assert await reader.read() in {b"", b"\r\n"}
    writer.close()


async def test_a_body_beyond_the_limit_is_refused_in_words(serve, routes):
    @routes.route("POST", "/create")
    async def create(call):
        return answer({"length": len(await read_bytes(call.request))})

    async with serve() as wire:
        assert (await wire.ask("POST", "/create", b"x" * JSON_BYTES_MAX)).status == 200
        assert (await wire.ask("POST", "/create", b"x" * (JSON_BYTES_MAX + 1))).status == 413
        assert (await wire.ask("POST", "/create", b"x", Expect="100-continue")).status in {100, 200}


async def test_a_head_of_a_mebibyte_is_read_and_a_larger_one_refused(serve, routes):
    @routes.route("GET", "/_ping")
    async def ping(call):
        return nothing(200)

    async with serve() as wire:
        assert (await wire.ask("GET", "/_ping", X="y" * 900_000)).status == 200
        assert (await wire.ask("GET", "/_ping", X="y" * 1_100_000)).status == 431


async def test_idle_connections_do_not_keep_others_waiting(serve, routes):
    @routes.route("GET", "/_ping")
    async def ping(call):
        return nothing(200)

    async with serve() as wire:
        idle = [await wire.open() for _ in range(200)]
        for _, writer in idle:
            writer.write(b"GET /_pi")
        assert (await wire.ask("GET", "/_ping")).status == 200
        for _, writer in idle:
            writer.close()
