"""Routes that look into a container's file system: copying out and in, changes, the whole of it."""

import base64

from aiohttp.web import StreamResponse

from wherry.api.answers import COMMON_HEADERS, answer, encode, nothing
from wherry.api.body import stream
from wherry.api.handover import begin_body, handed_over
from wherry.api.hijack import Hijacked
from wherry.api.inlet import answering, take_body
from wherry.api.pouring import Streamed
from wherry.api.routing import Call, RouteTable
from wherry.api.views.path_stat import path_stat_view
from wherry.engine.archive import look, put, take
from wherry.engine.changes import changes
from wherry.engine.export import export
from wherry.engine.unwrapping import Body
from wherry.storage.paths import Found

STAT_HEADER = "X-Docker-Container-Path-Stat"
TAR_TYPE = "application/x-tar"
# What dockerd's export is called.
BYTES_TYPE = "application/octet-stream"

routes = RouteTable()


@routes.route("HEAD", "/containers/{name}/archive")
async def look_at_one(call: Call) -> StreamResponse:
    """`docker cp` asks what is there."""
    found = await call.verbs.run(look(call.engine, call.name, call.form.text("path")))
    return StreamResponse(headers={**COMMON_HEADERS, **_stat(found)})


@routes.route("GET", "/containers/{name}/archive")
async def take_out(call: Call) -> StreamResponse:
    """`docker cp` out of a container."""
    receive = lambda found: begin_body(call, {"Content-Type": TAR_TYPE, **_stat(found)})  # noqa: E731 - one place
    await call.verbs.run(take(call.engine, call.name, call.form.text("path"), receive))
    return handed_over()


@routes.route("PUT", "/containers/{name}/archive")
async def put_in(call: Call) -> StreamResponse:
    """`docker cp` into a container."""
    inlet = take_body(call)
    if inlet is None:
        await call.verbs.run(_put(call, Streamed(stream(call.request))))
        return nothing(200)
    # The server sees its connection end now, so the answer is a part of the verb.
    await call.verbs.run(answering(call, inlet, _put(call, inlet)))
    return Hijacked()


async def _put(call: Call, body: Body) -> None:
    form = call.form
    await put(
        call.engine,
        call.name,
        form.text("path"),
        body,
        same_kind=form.flag("noOverwriteDirNonDir"),
        as_user=form.flag("copyUIDGID"),
    )


@routes.route("GET", "/containers/{name}/changes")
async def list_changes(call: Call) -> StreamResponse:
    """`docker diff`."""
    return answer(await changes(call.engine, call.name))


@routes.route("GET", "/containers/{name}/export")
async def export_one(call: Call) -> StreamResponse:
    """`docker export`."""
    await call.verbs.run(export(call.engine, call.name, lambda _: begin_body(call, {"Content-Type": BYTES_TYPE})))
    return handed_over()


def _stat(found: Found) -> dict[str, str]:
    text = encode(path_stat_view(found)).rstrip(b"\n")
    return {STAT_HEADER: base64.b64encode(text).decode()}
