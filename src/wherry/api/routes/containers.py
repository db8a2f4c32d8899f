"""Routes of containers: making, running, ending, looking."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp.web import StreamResponse
from msgspec.structs import replace

from wherry.api.answers import Wire, answer, answer_encoded, nothing, send_lines
from wherry.api.body import read_json, read_required_json, require_no_body
from wherry.api.connection import following
from wherry.api.requests import create_request, update_request
from wherry.api.routing import Call, Question, RouteTable
from wherry.api.sessions import in_session
from wherry.api.views.inspections import Inspections
from wherry.api.views.rows import Rows
from wherry.api.views.stats import stats_view
from wherry.engine.change import change
from wherry.engine.create import create
from wherry.engine.inspect import inspect
from wherry.engine.kill import kill
from wherry.engine.listing import ListQuery, list_containers
from wherry.engine.pause import pause, unpause
from wherry.engine.remove import remove
from wherry.engine.rename import rename
from wherry.engine.resize import resize
from wherry.engine.restart import restart
from wherry.engine.start import start
from wherry.engine.stats import prepare as prepare_stats
from wherry.engine.stop import stop
from wherry.engine.top import top
from wherry.engine.wait import Waiter, WaitResult, prepare
from wherry.model.clock import now_ns
from wherry.model.config import ChangeRequest

routes = RouteTable()
rows = Rows()
inspections = Inspections()


@routes.route("GET", "/containers/json")
async def list_all(call: Call) -> StreamResponse:
    """`docker ps`."""
    form = call.form
    query = ListQuery(
        everything=form.flag("all"),
        limit=form.number("limit") or 0,
        size=form.flag("size"),
        filters=form.filters(),
    )
    found = await list_containers(call.engine, query)
    return answer_encoded(rows.encode(found, call.version, now_ns=now_ns()))


@routes.route("POST", "/containers/create")
async def create_one(call: Call) -> StreamResponse:
    """`docker create`."""
    request = create_request(await read_required_json(call.request), call.version)
    request = replace(request, labels=in_session(call, request.labels))
    verb = create(call.engine, request, name=call.form.text("name"), platform=_platform(call))
    created = await call.verbs.run(verb)
    return answer({"Id": created.id, "Warnings": list(created.warnings)}, status=201)


@routes.question("GET", "/containers/{name}/json")
async def inspect_one(asked: Question) -> StreamResponse:
    """`docker inspect`."""
    found = await inspect(asked.engine, asked.name, size=asked.form.flag("size"))
    return answer_encoded(inspections.encode(found))


@routes.route("POST", "/containers/{name}/start")
async def start_one(call: Call) -> StreamResponse:
    """`docker start`."""
    require_no_body(call.request)
    await call.verbs.run(start(call.engine, call.name))
    return nothing()


@routes.route("POST", "/containers/{name}/stop")
async def stop_one(call: Call) -> StreamResponse:
    """`docker stop`."""
    verb = stop(call.engine, call.name, signal_name=_signal(call), timeout_seconds=call.form.number("t"))
    await call.verbs.run(verb)
    return nothing()


@routes.route("POST", "/containers/{name}/restart")
async def restart_one(call: Call) -> StreamResponse:
    """`docker restart`."""
    verb = restart(call.engine, call.name, signal_name=_signal(call), timeout_seconds=call.form.number("t"))
    await call.verbs.run(verb)
    return nothing()


@routes.route("POST", "/containers/{name}/kill")
async def kill_one(call: Call) -> StreamResponse:
    """`docker kill`."""
    await call.verbs.run(kill(call.engine, call.name, signal_name=call.form.text("signal")))
    return nothing()


@routes.route("POST", "/containers/{name}/pause")
async def pause_one(call: Call) -> StreamResponse:
    """`docker pause`."""
    await call.verbs.run(pause(call.engine, call.name))
    return nothing()


@routes.route("POST", "/containers/{name}/unpause")
async def unpause_one(call: Call) -> StreamResponse:
    """`docker unpause`."""
    await call.verbs.run(unpause(call.engine, call.name))
    return nothing()


@routes.route("POST", "/containers/{name}/rename")
async def rename_one(call: Call) -> StreamResponse:
    """`docker rename`."""
    await call.verbs.run(rename(call.engine, call.name, new_name=call.form.text("name")))
    return nothing()


@routes.route("POST", "/containers/{name}/update")
async def update_one(call: Call) -> StreamResponse:
    """`docker update`."""
    request = update_request(await read_json(call.request, ChangeRequest, root="UpdateConfig"), call.version)
    warnings = await call.verbs.run(change(call.engine, call.name, request))
    return answer({"Warnings": list(warnings) or None})


@routes.route("POST", "/containers/{name}/resize")
async def resize_one(call: Call) -> StreamResponse:
    """The client's terminal has another size."""
    await resize(call.engine, call.name, height=call.form.size("h", "height"), width=call.form.size("w", "width"))
    return nothing(200)


@routes.route("GET", "/containers/{name}/top")
async def top_one(call: Call) -> StreamResponse:
    """`docker top`."""
    found = await top(call.engine, call.name, ps_args=call.form.text("ps_args"))
    return answer({"Processes": found.processes, "Titles": found.titles})


@routes.route("POST", "/containers/{name}/wait")
async def wait_for_one(call: Call) -> StreamResponse:
    """`docker wait`. The head goes out at once: a client may then start the container and miss nothing."""
    # Before 1.30 there was none to be said.
    condition = call.form.text("condition") if call.version >= (1, 30) else ""
    waiter = prepare(call.engine, call.name, condition)
    with following(call.request):
        if call.version < (1, 30):
            return answer(_wait_view(await waiter.result()))
        return await send_lines(call.request, _result(waiter))


@routes.route("DELETE", "/containers/{name}")
async def remove_one(call: Call) -> StreamResponse:
    """`docker rm`."""
    form = call.form
    verb = remove(call.engine, call.name, force=form.flag("force"), volumes=form.flag("v"), link=form.flag("link"))
    await call.verbs.run(verb)
    return nothing()


@routes.route("GET", "/containers/{name}/stats")
async def stats_of_one(call: Call) -> StreamResponse:
    """`docker stats`."""
    stream = call.form.flag("stream", default=True)
    one_shot = call.form.flag("one-shot") and call.version >= (1, 41)
    pairs = prepare_stats(call.engine, call.name, stream=stream, one_shot=one_shot)
    with following(call.request):
        async with aclosing(pairs):
            return await send_lines(call.request, (stats_view(pair) async for pair in pairs))


async def _result(waiter: Waiter) -> AsyncIterator[Wire]:
    yield _wait_view(await waiter.result())


def _wait_view(result: WaitResult) -> Wire:
    error = {"Error": {"Message": result.error}} if result.error else {}
    return {"StatusCode": result.exit_code, **error}


def _platform(call: Call) -> str:
    return call.form.text("platform") if call.version >= (1, 41) else ""


def _signal(call: Call) -> str:
    return call.form.text("signal") if call.version >= (1, 42) else ""
