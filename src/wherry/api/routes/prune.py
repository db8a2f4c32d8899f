"""Routes that remove what nobody uses."""

from typing import Any

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.routing import Call, RouteTable
from wherry.api.views.image import removed_view
from wherry.engine.prune import prune_containers, prune_images, prune_networks, prune_volumes

routes = RouteTable()


@routes.route("POST", "/containers/prune")
async def containers(call: Call) -> StreamResponse:
    """`docker container prune`."""
    pruned = await call.verbs.run(prune_containers(call.engine, call.form.filters()))
    return answer({"ContainersDeleted": pruned.removed or None, "SpaceReclaimed": pruned.bytes})


@routes.route("POST", "/images/prune")
async def images(call: Call) -> StreamResponse:
    """`docker image prune`."""
    removed, freed = await call.verbs.run(prune_images(call.engine, call.form.filters()))
    views: list[Any] | None = [removed_view(one) for one in removed] or None
    return answer({"ImagesDeleted": views, "SpaceReclaimed": freed})


@routes.route("POST", "/volumes/prune")
async def volumes(call: Call) -> StreamResponse:
    """`docker volume prune`; before 1.42 all volumes were meant."""
    verb = prune_volumes(call.engine, call.form.filters(), named_too=call.version < (1, 42))
    pruned = await call.verbs.run(verb)
    return answer({"VolumesDeleted": pruned.removed, "SpaceReclaimed": pruned.bytes})


@routes.route("POST", "/networks/prune")
async def networks(call: Call) -> StreamResponse:
    """`docker network prune`."""
    prune_networks(call.engine, call.form.filters())
    return answer({"NetworksDeleted": None})


@routes.route("POST", "/build/prune")
async def build_cache(_call: Call) -> StreamResponse:
    """`docker system prune` asks for this too; without a builder there is no cache."""
    return answer({"CachesDeleted": None, "SpaceReclaimed": 0})
