"""Routes of volumes."""

from aiohttp.web import StreamResponse

from wherry.api.answers import answer, nothing
from wherry.api.body import read_json
from wherry.api.requests import VolumeRequest
from wherry.api.routes.refused import NO_SWARM
from wherry.api.routing import Call, RouteTable
from wherry.api.sessions import in_session
from wherry.api.views.volume import volume_view
from wherry.engine.sessions import VolumeWish, create_volume_in_session
from wherry.engine.volumes import inspect_volume, list_volumes, remove_volume
from wherry.engine.wording import told
from wherry.model.errors import Unavailable

routes = RouteTable()


@routes.route("GET", "/volumes")
async def list_all(call: Call) -> StreamResponse:
    """`docker volume ls`."""
    with told("error reading volume filters"):
        filters = call.form.filters()
    volumes = list_volumes(call.engine, filters)
    return answer({"Volumes": [volume_view(volume) for volume in volumes], "Warnings": None})


@routes.route("POST", "/volumes/create")
async def create_one(call: Call) -> StreamResponse:
    """`docker volume create`."""
    request = await read_json(call.request, VolumeRequest, root="CreateOptions")
    if request.cluster_volume_spec is not None:
        raise Unavailable(NO_SWARM)
    wish = VolumeWish(
        name=request.name,
        driver=request.driver,
        options=request.driver_opts,
        labels=in_session(call, request.labels),
    )
    verb = create_volume_in_session(call.engine, wish)
    return answer(volume_view(await call.verbs.run(verb)), status=201)


@routes.route("GET", "/volumes/{name}")
async def inspect_one(call: Call) -> StreamResponse:
    """`docker volume inspect`."""
    return answer(volume_view(inspect_volume(call.engine, call.name)))


@routes.route("DELETE", "/volumes/{name}")
async def remove_one(call: Call) -> StreamResponse:
    """`docker volume rm`."""
    await call.verbs.run(remove_volume(call.engine, call.name, force=call.form.flag("force")))
    return nothing()
