"""The layout's `index.json`, a view of all images for other tools: rewritten soon after they have changed.

No verb waits for it, and nothing of ours reads it: with a thousand images it takes longer than to commit one more.
A start writes it anew.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence

from wherry.images.library import Library
from wherry.model.image import Image
from wherry.oci.image import OCI_MANIFEST, Descriptor, Index, encode

# Several changes that follow each other are written once.
DELAY_SECONDS = 1.0

log = logging.getLogger(__name__)


async def keep_index(library: Library) -> None:
    """Write the index whenever it is not what the images are, for ever."""
    while True:
        await library.index_is_stale.wait()
        await asyncio.sleep(DELAY_SECONDS)
        await catch_up(library)


async def catch_up(library: Library) -> None:
    """Write the index now if it is stale; that it cannot be written is logged."""
    if library.index_is_stale.is_set():
        try:
            await write_index(library)
        except OSError as error:
            log.warning("write %s: %s", library.content.root / "index.json", error)


async def write_index(library: Library) -> None:
    """Have the index say what images there are now. Raises OSError."""
    async with library.leases.turn("index.json"):
        library.index_is_stale.clear()
        await library.in_thread(_write, library, library.images.values(), _names(library))


def _names(library: Library) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for tag in library.tags.values():
        if "@" not in tag.reference:
            names.setdefault(tag.image_id, []).append(tag.reference)
    return names


def _write(library: Library, images: Sequence[Image], names: dict[str, list[str]]) -> None:
    manifests = tuple(each for image in images for each in _entries(library, image, sorted(names.get(image.id, ()))))
    library.content.write_index(encode(Index(schema_version=2, manifests=manifests)))


def _entries(library: Library, image: Image, names: Sequence[str]) -> Iterator[Descriptor]:
    if not image.manifest:
        return
    try:
        size = library.content.size(image.manifest)
    except FileNotFoundError:
        return
    for name in names or [""]:
        yield Descriptor(
            media_type=image.manifest_type or OCI_MANIFEST,
            digest=image.manifest,
            size=size,
            annotations={"org.opencontainers.image.ref.name": name} if name else None,
        )
