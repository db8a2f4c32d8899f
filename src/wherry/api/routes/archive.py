"""Routes that look into a container's file system: copying out and in, changes, the whole of it."""

import base64

from aiohttp.web import StreamResponse

from wherry.api.answers import COMMON_HEADERS, answer, encode, nothing
from wherry.api.body import stream
from wherry.api.handover import begin_body, handed_over
from wherry.api.routing import Call, RouteTable
from wherry.api.views.path_stat import path_stat_view
from wherry.engine.archive import look, put, take
from wherry.engine.changes import changes
from wherry.engine.export import export
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
    form = call.form
    verb = put(
        call.engine,
        call.name,
        form.text("path"),
        stream(call.request),
        same_kind=form.flag("noOverwriteDirNonDir"),
        as_user=form.flag("copyUIDGID"),
    )
    await call.verbs.run(verb)
    return nothing(200)


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
