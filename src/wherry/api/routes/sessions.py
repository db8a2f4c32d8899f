"""`/sessions`: an extension of Wherry's; while a client's connection lasts, what it made is kept, and no longer."""

import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp.web import BaseRequest, StreamResponse

from wherry.api.answers import Wire, answer, nothing, send_lines
from wherry.api.connection import following
from wherry.api.routing import Call, RouteTable
from wherry.engine.sessions import HeldSession, check_session, end_session, holding_session, open_session
from wherry.model.clock import rfc3339
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.session import LABEL, SessionRecord

# Over TCP a client that vanished is noticed after less than half a minute.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))

routes = RouteTable()


@routes.route("POST", "/sessions")
async def open_one(call: Call) -> StreamResponse:
    """A session that lasts as long as this answer, and `grace` seconds."""
    record = await call.verbs.run(open_session(call.engine, grace_seconds=_grace(call)))
    return await _hold(call, record.id)


@routes.route("POST", "/sessions/{name}")
async def join_one(call: Call) -> StreamResponse:
    """The same session, held by one more client."""
    try:
        check_session(call.engine, {LABEL: call.name})
    except InvalidParameter as error:
        raise NotFound(str(error)) from None
    return await _hold(call, call.name)


@routes.route("GET", "/sessions")
async def list_all(call: Call) -> StreamResponse:
    """Those that are open."""
    return answer([_view(record) for record in call.engine.sessions.values()])


@routes.route("DELETE", "/sessions/{name}")
async def end_one(call: Call) -> StreamResponse:
    """End a session whoever holds it; when this is answered nothing of it is left."""
    await call.verbs.run(end_session(call.engine, call.name))
    return nothing()


async def _hold(call: Call, session_id: str) -> StreamResponse:
    _notice_vanishing(call.request)
    async with holding_session(call.engine, session_id) as held:
        with following(call.request):
            return await send_lines(call.request, _lines(held))


async def _lines(held: HeldSession) -> AsyncIterator[Wire]:
    """One line, and then nothing until the client goes, or the session."""
    yield _view(held.record)
    await held.closed.wait()


def _grace(call: Call) -> float:
    text = call.form.text("grace") or "0"
    try:
        return float(text)
    except ValueError:
        raise InvalidParameter(f"invalid grace: {text}") from None


def _notice_vanishing(request: BaseRequest) -> None:
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _view(record: SessionRecord) -> dict[str, Any]:
    return {"Id": record.id, "Opened": rfc3339(record.opened_ns), "GraceSeconds": record.grace_seconds}
