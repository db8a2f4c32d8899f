"""Routes of the engine as a whole."""

from collections.abc import AsyncIterator

from aiohttp.web import Response, StreamResponse

from wherry.api.answers import COMMON_HEADERS, Wire, answer, send_lines
from wherry.api.body import read_json
from wherry.api.connection import following
from wherry.api.requests import AuthRequest, registry_domain
from wherry.api.routing import Call, Question, RouteTable
from wherry.api.views.event import event_view
from wherry.api.views.info import info_view
from wherry.engine.events import subscribe
from wherry.engine.system import info, version
from wherry.model.clock import NANOSECONDS
from wherry.model.errors import InvalidParameter
from wherry.model.event import Event
from wherry.registry.credentials import Credentials

# No Builder-Version: clients that read `2` there send their builds to BuildKit's endpoints.
PING_HEADERS = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Content-Type": "text/plain; charset=utf-8",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}

routes = RouteTable()


@routes.question("GET", "/_ping")
async def ping(_asked: Question) -> StreamResponse:
    """Whether somebody is there, and which versions it speaks."""
    return Response(body=b"OK", headers={**COMMON_HEADERS, **PING_HEADERS})


@routes.question("HEAD", "/_ping")
async def ping_head(_asked: Question) -> StreamResponse:
    """The same without a body, and saying so: clients complain of bytes that they did not ask for."""
    return Response(headers={**COMMON_HEADERS, **PING_HEADERS, "Content-Length": "0"})


@routes.question("GET", "/version")
async def show_version(asked: Question) -> StreamResponse:
    """`docker version`."""
    return answer(version(asked.engine))


@routes.route("GET", "/info")
async def show_info(call: Call) -> StreamResponse:
    """`docker info`."""
    return answer(info_view(info(call.engine), call.version))


@routes.route("POST", "/auth")
async def log_in(call: Call) -> StreamResponse:
    """`docker login`: whether a registry accepts these secrets."""
    said = await read_json(call.request, AuthRequest, root="AuthConfig")
    credentials = Credentials(
        username=said.username,
        password=said.password,
        identity_token=said.identitytoken,
        server_address=said.serveraddress,
    )
    await call.engine.library.registries.check_login(registry_domain(said.serveraddress), credentials)
    return answer({"Status": "Login Succeeded", "IdentityToken": ""})


@routes.route("GET", "/events")
async def follow_events(call: Call) -> StreamResponse:
    """`docker events`."""
    form = call.form
    since_ns, until_ns = form.time_ns("since"), form.time_ns("until")
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        since, until = since_ns // NANOSECONDS, until_ns // NANOSECONDS
        raise InvalidParameter(f"`since` time ({since}) cannot be after `until` time ({until})")
    events = subscribe(call.engine, since_ns=since_ns, until_ns=until_ns, filters=form.filters())
    with following(call.request):
        return await send_lines(call.request, _views(events))


async def _views(events: AsyncIterator[Event]) -> AsyncIterator[Wire]:
    async for event in events:
        yield event_view(event)
