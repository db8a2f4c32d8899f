"""Routes of execs: further processes in running containers."""

import socket
from functools import partial

from aiohttp.web import StreamResponse

from wherry.api.answers import answer, nothing
from wherry.api.body import read_json
from wherry.api.detachkeys import detach_key_bytes
from wherry.api.hijack import MULTIPLEXED, RAW, hijack
from wherry.api.requests import ExecStart
from wherry.api.routing import Call, RouteTable
from wherry.api.views.container import exec_view
from wherry.drivers.driver import Session
from wherry.engine.exec import check_container, create_exec, inspect_exec, resize_exec, start_exec
from wherry.engine.exec_record import Exec, ExecRequest
from wherry.model.errors import InvalidParameter

routes = RouteTable()


@routes.route("POST", "/containers/{name}/exec")
async def create_one(call: Call) -> StreamResponse:
    """`docker exec`, first half."""
    request = await read_json(call.request, ExecRequest, root="ExecOptions")
    _check_keys(request.detach_keys)
    return answer({"Id": await call.verbs.run(create_exec(call.engine, call.name, request))}, status=201)


@routes.route("POST", "/exec/{name}/start")
async def start_one(call: Call) -> StreamResponse:
    """`docker exec`, second half. What goes wrong after the upgrade is told on the stream, as dockerd does."""
    options = await read_json(call.request, ExecStart, root="ExecStartOptions")
    record = check_container(call.engine, call.name)
    size = options.console_size or (0, 0)
    if options.detach:
        await call.verbs.run(start_exec(call.engine, record.id, terminal_size=size))
        return nothing(200)
    takeover = partial(_hand_over, call, record, size, framed=not options.tty)
    content_type = _content_type(call, framed=not options.tty)
    return await hijack(call, takeover, content_type=content_type, framed=not options.tty)


@routes.route("POST", "/exec/{name}/resize")
async def resize_one(call: Call) -> StreamResponse:
    """The client's terminal has another size."""
    height, width = call.form.size("h", "height"), call.form.size("w", "width")
    await resize_exec(call.engine, call.name, height=height, width=width)
    return nothing(200)


@routes.route("GET", "/exec/{name}/json")
async def inspect_one(call: Call) -> StreamResponse:
    """How it stands with an exec; this is where `docker exec` finds its exit code."""
    return answer(exec_view(inspect_exec(call.engine, call.name)))


async def _hand_over(call: Call, record: Exec, size: tuple[int, int], client: socket.socket, *, framed: bool) -> None:
    request = record.request
    session = Session(
        socket=client,
        stdin=request.attach_stdin,
        stdout=request.attach_stdout,
        stderr=request.attach_stderr,
        framed=framed,
        detach_keys=detach_key_bytes(request.detach_keys) if request.tty else b"",
    )
    await start_exec(call.engine, record.id, session=session, terminal_size=size)


def _content_type(call: Call, *, framed: bool) -> str:
    upgrades = "upgrade" in call.request.headers.get("Connection", "").lower()
    return MULTIPLEXED if framed and upgrades and call.version >= (1, 42) else RAW


def _check_keys(text: str) -> None:
    try:
        detach_key_bytes(text)
    except ValueError:
        raise InvalidParameter(f"Invalid escape keys ({text}) provided") from None
