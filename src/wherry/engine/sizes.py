"""How much a container takes on disk."""

import asyncio
from dataclasses import dataclass

from wherry.engine.engine import Engine
from wherry.model.container import Container
from wherry.model.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes: what the container itself changed, and that with its image's layers."""

    own: int
    whole: int


async def sizes_of(engine: Engine, container: Container) -> Sizes:
    """Measure a container's snapshot; the image's layers are known. A snapshot that is gone takes nothing."""
    try:
        own = (await asyncio.to_thread(engine.storage.usage, container.id)).bytes
    except NotFound:
        own = 0
    return Sizes(own=own, whole=own + image_size(engine, container.image_id))


def image_size(engine: Engine, image_id: str) -> int:
    """The bytes of an image's layers, unpacked; 0 for an image that is gone."""
    image = engine.library.images.get(image_id)
    return image.size_bytes if image is not None else 0
