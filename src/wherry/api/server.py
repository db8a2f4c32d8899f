"""The front door: connections in, one route called for each request, every error made an answer."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.web import BaseRequest, StreamResponse

from wherry.api.answers import COMMON_HEADERS, failure, nothing
from wherry.api.connection import Connection, Connections
from wherry.api.forms import Form
from wherry.api.quiet import Quiet
from wherry.api.routing import Call, Question, RouteTable, clean
from wherry.api.shortcuts import Ask, Shortcuts
from wherry.api.target import check, split
from wherry.api.tls import TlsFront
from wherry.api.verbs import Verbs
from wherry.api.versions import served_version, split_version
from wherry.engine.engine import Engine
from wherry.model.errors import NotFound

# What the last answers may take to leave when the daemon ends (twice this at most), and verbs to finish.
ANSWERS_END_SECONDS = 0.4
VERBS_END_SECONDS = 15.0
# Longer than the gaps in a script's requests.
QUIET_SECONDS = 2.0
BACKLOG = 4096

log = logging.getLogger(__name__)


class Server:
    """Serves a table of routes on any number of sockets."""

    def __init__(
        self,
        engine: Engine,
        routes: RouteTable,
        group: asyncio.TaskGroup,
        *,
        verbs_end_seconds: float,
        on_quiet: Callable[[], None],
    ) -> None:
        """Routes are given `engine`; verbs and connections live in `group`; `on_quiet` is called after each burst."""
        self._engine = engine
        self._routes = routes
        self._group = group
        self._verbs_end_seconds = verbs_end_seconds
        self._verbs = Verbs(group)
        self._listeners: list[asyncio.Server | TlsFront] = []
        self._requests: set[asyncio.Task[Any]] = set()
        self._quiet = Quiet(on_quiet, seconds=QUIET_SECONDS)
        self._shortcuts = Shortcuts(self._quiet.touch)
        self._connections = Connections(self._track, self._shortcuts)

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve a listening socket, which from now on is the server's."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        if tls is not None:
            front = TlsFront(listener, tls, self._connections)
            front.start(self._group)
            self._listeners.append(front)
            return
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
        self._listeners.append(await create(self._connections, sock=listener, backlog=BACKLOG))

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection that was made elsewhere, such as one end of a pair; it is the server's from now on."""
        await asyncio.get_running_loop().connect_accepted_socket(self._connections, sock=connection)

    async def close(self) -> None:
        """Accept no more, end streams, let verbs finish."""
        for listener in self._listeners:
            if not isinstance(listener, TlsFront):
                listener.close()
        for request in self._requests:
            if not self._verbs.is_awaited_by(request):
                request.cancel()
        await self._verbs.finish(self._verbs_end_seconds)
        self._connections.pre_shutdown()
        await self._connections.shutdown(ANSWERS_END_SECONDS)
        for listener in self._listeners:
            if isinstance(listener, TlsFront):
                listener.close()
        self._quiet.cancel()

    async def _track(self, request: BaseRequest) -> StreamResponse:
        """Know what is being answered, so that streams can be ended."""
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        try:
            return await self._handle(request)
        finally:
            self._requests.discard(task)
            self._quiet.touch()

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        try:
            return await self._answer(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - one request's fault, never the daemon's end
            return failure(request, error)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        check(request)
        path, query = split(request.raw_path)
        if request.method == "OPTIONS" and path == "*":
            return nothing(200)
        if path != clean(path):
            return _moved(clean(path), query)
        said, path = split_version(path)
        if request.method == "OPTIONS":
            return nothing(200)
        found = self._routes.find(request.method, path)
        if found is None:
            raise NotFound("page not found")
        route, name = found
        version, form = served_version(said), Form(query)
        tell = self._routes.answers.get(route)
        if tell is not None:
            asked = Question(engine=self._engine, version=version, form=form, name=name)
            if not query:  # else it may be one that takes its time, and would be begun twice
                self._learn(request, partial(tell, asked))
            return await tell(asked)
        call = Call(engine=self._engine, version=version, form=form, name=name, request=request, verbs=self._verbs)
        return await route(call)

    def _learn(self, request: BaseRequest, ask: Ask) -> None:
        connection = request.protocol
        if isinstance(connection, Connection) and connection.lone_head and request.keep_alive:
            self._shortcuts.learn(connection.lone_head, ask)


@asynccontextmanager
async def serving(
    engine: Engine,
    routes: RouteTable,
    *,
    verbs_end_seconds: float = VERBS_END_SECONDS,
    on_quiet: Callable[[], None] = lambda: None,
) -> AsyncIterator[Server]:
    """A server for the time of the context; leaving it ends streams and waits that long for verbs.

    `on_quiet` is called when nothing was asked for QUIET_SECONDS, once after each burst of requests.
    """
    async with asyncio.TaskGroup() as group:
        server = Server(engine, routes, group, verbs_end_seconds=verbs_end_seconds, on_quiet=on_quiet)
        try:
            yield server
        finally:
            await server.close()


def _moved(path: str, query: str) -> StreamResponse:
    location = quote(path) + (f"?{query}" if query else "")
    return web.Response(status=301, headers={**COMMON_HEADERS, "Location": location})
