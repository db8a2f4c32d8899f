"""How much a container takes on disk."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wherry.engine.engine import Engine
from wherry.engine.log_plan import log_path
from wherry.model.container import Container
from wherry.model.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes: what the container itself changed, that with its image's layers, and its log with what was rotated."""

    own: int
    whole: int
    log: int = 0


async def sizes_of(engine: Engine, container: Container) -> Sizes:
    """Measure a container's snapshot; the image's layers are known. A snapshot that is gone takes nothing."""
    try:
        own = (await asyncio.to_thread(engine.storage.usage, container.id)).bytes
    except NotFound:
        own = 0
    log = await asyncio.to_thread(_log_bytes, log_path(engine, container))
    return Sizes(own=own, whole=own + image_size(engine, container.image_id), log=log)


def _log_bytes(path: Path) -> int:
    size = 0
    with suppress(FileNotFoundError):  # just removed, directory and all
        for file in path.parent.glob(f"{path.name}*"):
            with suppress(FileNotFoundError):  # just rotated
                size += file.stat().st_size
    return size


def image_size(engine: Engine, image_id: str) -> int:
    """The bytes of an image's layers, unpacked; 0 for an image that is gone."""
    image = engine.library.images.get(image_id)
    return image.size_bytes if image is not None else 0
