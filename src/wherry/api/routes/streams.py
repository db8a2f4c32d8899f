"""Routes of a container's streams: attach, with or without a websocket, and logs."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from aiohttp import WSMsgType
from aiohttp.web import HTTPBadRequest, StreamResponse, WebSocketResponse

from wherry.api.answers import nothing, send
from wherry.api.connection import following
from wherry.api.detachkeys import detach_key_bytes
from wherry.api.hijack import MULTIPLEXED, RAW, hijack
from wherry.api.routing import Call, RouteTable
from wherry.drivers.driver import Session
from wherry.engine.attach import attach, attach_after_log
from wherry.engine.attach import prepare as prepare_attach
from wherry.engine.containers import find
from wherry.engine.logs import LogStream
from wherry.engine.logs import clear as clear_logs
from wherry.engine.logs import prepare as prepare_logs
from wherry.logs.driver import LogQuery
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter

CHUNK_BYTES = 64 * 1024
# Gives the client bytes. Raises OSError when it has gone.
Say = Callable[[bytes], Awaitable[None]]

routes = RouteTable()


@routes.route("POST", "/containers/{name}/attach")
async def attach_one(call: Call) -> StreamResponse:
    """`docker attach`, and the first thing that `docker run` does."""
    keys = _detach_keys(call)
    container = prepare_attach(call.engine, call.name)
    takeover = partial(_hand_over, call, container, keys)
    framed = not container.config.tty
    return await hijack(call, takeover, content_type=_content_type(call, framed=framed), framed=framed)


@routes.route("GET", "/containers/{name}/attach/ws")
async def attach_by_websocket(call: Call) -> StreamResponse:
    """Attach for browsers: messages in, messages out, no frames."""
    if call.request.headers.get("Upgrade", "").lower() != "websocket":
        raise InvalidParameter("not websocket protocol")
    keys = _detach_keys(call)
    container = prepare_attach(call.engine, call.name)
    messages = await _shake_hands(call)
    near, far = socket.socketpair()
    near.setblocking(False)
    say = partial(messages.send_frame, opcode=WSMsgType.BINARY if call.version >= (1, 28) else WSMsgType.TEXT)
    with near, following(call.request):
        session = _session(call, container, far, keys, framed=False)
        if call.version < (1, 42):  # which streams could not be said before
            session = replace(session, stdin=container.config.open_stdin, stdout=True, stderr=True)
        await _serve(call, container, session, say)
        await _bridge(messages, near, say)
    return messages


@routes.route("GET", "/containers/{name}/logs")
async def logs_of_one(call: Call) -> StreamResponse:
    """`docker logs`."""
    form = call.form
    if not (form.flag("stdout") or form.flag("stderr")):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    find(call.engine, call.name)  # what is wrong with the times is said only of a container that is there
    query = LogQuery(
        stdout=form.flag("stdout"),
        stderr=form.flag("stderr"),
        since_ns=form.time_ns("since") or 0,
        until_ns=form.time_ns("until") or 0,
        tail=_tail(form.text("tail")),
        follow=form.flag("follow"),
        timestamps=form.flag("timestamps"),
        details=form.flag("details"),
    )
    stream = prepare_logs(call.engine, call.name, query)
    framed = not stream.tty and call.version >= (1, 42)
    content_type = MULTIPLEXED if framed else RAW
    if not query.follow:
        return await send(call.request, stream, content_type=content_type)
    with following(call.request):
        return await send(call.request, stream, content_type=content_type)


@routes.route("DELETE", "/containers/{name}/logs")
async def clear_logs_of_one(call: Call) -> StreamResponse:
    """`wherry logs --clear`; Docker's API has nothing of the kind."""
    await clear_logs(call.engine, call.name)
    return nothing()


async def _hand_over(call: Call, container: Container, keys: bytes, client: socket.socket) -> None:
    session = _session(call, container, client, keys, framed=not container.config.tty)
    # The engine closes its own when the session ends, or fails; what was logged goes out by this one.
    with client.dup() as spare:
        await _serve(call, container, session, partial(_send_all, spare))


async def _serve(call: Call, container: Container, session: Session, say: Say) -> None:
    """What was logged, when it was asked for, and then the stream, when that was asked for. Raises Unsupported."""
    logs = call.form.flag("logs") and (session.stdout or session.stderr)
    stream = call.form.flag("stream")
    try:
        if logs:
            _log(call, container, session, 0)  # whether it can be read is to be said before anything else
        if logs and stream:
            replay = partial(_replay, call, container, session, say)
            await attach_after_log(call.engine, container.id, session, replay)
        elif stream:
            await attach(call.engine, container.id, session)
        elif logs:
            await _replay(call, container, session, say, 0)
    finally:
        if not stream:
            session.socket.close()


def _log(call: Call, container: Container, session: Session, until_ns: int) -> LogStream:
    query = LogQuery(stdout=session.stdout, stderr=session.stderr, until_ns=until_ns)
    return prepare_logs(call.engine, container.id, query, framed=session.framed)


async def _replay(call: Call, container: Container, session: Session, say: Say, until_ns: int) -> None:
    try:
        async for chunk in _log(call, container, session, until_ns):
            await say(chunk)
    except OSError:
        return  # the client has gone


async def _send_all(client: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, data)


def _session(call: Call, container: Container, client: socket.socket, keys: bytes, *, framed: bool) -> Session:
    form, config = call.form, container.config
    return Session(
        socket=client,
        stdin=form.flag("stdin") and config.open_stdin,
        stdout=form.flag("stdout"),
        stderr=form.flag("stderr"),
        framed=framed,
        # Without a terminal the keys are ordinary bytes of somebody's data.
        detach_keys=keys if config.tty else b"",
    )


def _content_type(call: Call, *, framed: bool) -> str:
    """Only those who upgrade are told of frames, and only since 1.42."""
    upgrades = "upgrade" in call.request.headers.get("Connection", "").lower()
    return MULTIPLEXED if framed and upgrades and call.version >= (1, 42) else RAW


def _detach_keys(call: Call) -> bytes:
    text = call.form.text("detachKeys")
    try:
        return detach_key_bytes(text)
    except ValueError:
        raise InvalidParameter(f"Invalid detach keys ({text}) provided") from None


def _tail(text: str) -> int | None:
    """How many lines; None for all, which is also what anything but a number means."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


async def _shake_hands(call: Call) -> WebSocketResponse:
    """Raises InvalidParameter in the words of Go's server of websockets."""
    messages = WebSocketResponse()
    try:
        await messages.prepare(call.request)
    except (HTTPBadRequest, ValueError):
        version = call.request.headers.get("Sec-WebSocket-Version", "")
        words = "mismatch challenge/response" if version == "13" else "missing or bad WebSocket Version"
        raise InvalidParameter(words) from None
    return messages


async def _bridge(messages: WebSocketResponse, near: socket.socket, say: Say) -> None:
    """Move bytes until the process ends; a client that goes away ends the session only."""
    inward = asyncio.ensure_future(_from_client(messages, near))
    try:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(near, CHUNK_BYTES):
            await say(data)
        await messages.close()
    finally:
        inward.cancel()


async def _from_client(messages: WebSocketResponse, near: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async for message in messages:
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            data = message.data.encode() if isinstance(message.data, str) else message.data
            await loop.sock_sendall(near, data)
    near.shutdown(socket.SHUT_RDWR)
