"""Content that follows from a layer: the tar of one that was captured from a container is written after the answer.

The layer is durable when its image is announced, and packing it gives the very bytes that its digest names; so what a
crash prevented is made up for at the next start, and whoever needs the tar before it is there has it made.
"""

import asyncio
import threading
from collections.abc import Iterable

from wherry.crashpoints import crash_point
from wherry.images.create import COPY_BYTES
from wherry.images.garbage import discard_blobs
from wherry.images.library import Library
from wherry.model.image import Image, Layer

DELAY_SECONDS = 3.0


def is_derivable(layer: Layer) -> bool:
    """Whether the layer's content is its plain tar, which can be made of its files."""
    return bool(layer.blob) and layer.blob == layer.diff_id


async def provide(library: Library, layers: Iterable[Layer]) -> None:
    """Have the content of layers that can be derived. Raises EngineError, ContentMismatch, OSError."""
    for layer in layers:
        if is_derivable(layer) and not library.content.has(layer.blob):
            await _provide_one(library, layer)


async def provide_missing(library: Library) -> None:
    """Make up for what a crash prevented. Raises as `provide`."""
    for image in library.images.values():
        await provide(library, _derivable_here(library, image))


async def provide_later(library: Library, layer: Layer) -> None:
    """The content of a layer just captured, unless its image is removed meanwhile. Raises as `provide`.

    Not at once: what is committed is often used, committed upon or removed first, and the disk is busy with the layer.
    """
    await asyncio.sleep(DELAY_SECONDS)
    if layer.blob in library.wanted_blobs():
        await provide(library, [layer])


def _derivable_here(library: Library, image: Image) -> list[Layer]:
    return [layer for layer in image.layers if library.storage.exists(layer.chain_id)]


async def _provide_one(library: Library, layer: Layer) -> None:
    async with library.leases.turn(layer.blob):
        if library.content.has(layer.blob):
            return
        with library.leases.hold((layer.blob, layer.chain_id)):
            await library.in_cancellable_thread(lambda cancelled: _write(library, layer, cancelled))
    crash_point("commit.blob-kept")
    # Nobody may have wanted it any more by the time it was there.
    await discard_blobs(library, [layer.blob])


def _write(library: Library, layer: Layer, cancelled: threading.Event) -> None:
    with library.storage.diff(layer.chain_id) as tar, library.content.write(layer.blob) as ingest:
        while not cancelled.is_set() and (piece := tar.read(COPY_BYTES)):
            ingest.write(piece)
        if not cancelled.is_set():
            ingest.commit()
