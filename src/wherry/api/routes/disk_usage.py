"""`GET /system/df`: what images, containers and volumes take on disk."""

import asyncio
from typing import Any

from aiohttp.web import StreamResponse

from wherry.api.answers import answer
from wherry.api.routing import Call, RouteTable
from wherry.api.views.container import summary_view
from wherry.api.views.image import image_summary_view
from wherry.api.views.volume import volume_view
from wherry.engine.images import image_users
from wherry.engine.listing import ListQuery, list_containers
from wherry.engine.volumes import list_volumes, volumes_in_use
from wherry.images.list import layers_bytes, list_images, shared_bytes
from wherry.model.clock import now_ns
from wherry.model.errors import InvalidParameter

TYPES = ("container", "image", "volume", "build-cache")

routes = RouteTable()


@routes.route("GET", "/system/df")
async def disk_usage(call: Call) -> StreamResponse:
    """`docker system df`. A part that was not asked for is null."""
    wanted = _wanted(call)
    return answer(
        {
            "LayersSize": layers_bytes(call.engine.library) if "image" in wanted else 0,
            "Images": _images(call) if "image" in wanted else None,
            "Containers": await _containers(call) if "container" in wanted else None,
            "Volumes": await _volumes(call) if "volume" in wanted else None,
            "BuildCache": [] if "build-cache" in wanted else None,
        }
    )


def _wanted(call: Call) -> set[str]:
    """The parts that are asked for, all of them unless said (since 1.42)."""
    said = set(call.form.texts("type")) if call.version >= (1, 42) else set()
    for kind in sorted(said.difference(TYPES)):
        raise InvalidParameter(f"unknown object type: {kind}")
    return said or set(TYPES)


def _images(call: Call) -> list[dict[str, Any]]:
    library = call.engine.library
    users, shared = image_users(call.engine), shared_bytes(library)
    return [
        image_summary_view(image, call.version, containers=len(users.get(image.id, ())), shared=shared.get(image.id, 0))
        for image in list_images(library)
    ]


async def _containers(call: Call) -> list[dict[str, Any]]:
    query = ListQuery(everything=True, size=True)
    now = now_ns()
    return [summary_view(one, call.version, now_ns=now) for one in await list_containers(call.engine, query)]


async def _volumes(call: Call) -> list[dict[str, Any]]:
    users = volumes_in_use(call.engine)
    volumes = list_volumes(call.engine, {})
    sizes = await asyncio.gather(*(call.engine.volumes.usage(volume.name) for volume in volumes))
    return [
        {**volume_view(volume), "UsageData": {"RefCount": len(users.get(volume.name, ())), "Size": size}}
        for volume, size in zip(volumes, sizes, strict=True)
    ]
