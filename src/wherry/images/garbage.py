"""Layers and content that no image needs any more: removed with the image, after a push, or at a start."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.images.index import write_index
from wherry.images.library import Library, blobs_of
from wherry.images.unpacking import PlannedLayer
from wherry.model.errors import Conflict, NotFound
from wherry.model.image import Image
from wherry.oci.digest import is_digest
from wherry.storage.initlayer import init_key


async def sweep(library: Library) -> list[str]:
    """At a start, when no verb runs: leftovers of a crash, and what nobody has wanted for a day. Names of what went.

    Layers are the storage driver's to sweep (`StorageDriver.sweep`), which needs to know the containers' too.
    """
    removed = await library.in_thread(library.content.sweep, library.wanted_blobs())
    await write_index(library)
    return removed


@asynccontextmanager
async def layers_or_nothing(
    library: Library, layers: Iterable[PlannedLayer], *, blobs_too: bool
) -> AsyncIterator[None]:
    """Hold layers and their blobs while they are being had; a failure leaves none that no other image needs.

    `blobs_too` gives up the blobs as well; a pull keeps them for the next one.
    """
    planned = list(layers)
    blobs = [layer.blob for layer in planned]
    try:
        with library.leases.hold((*blobs, *(layer.chain_id for layer in planned))):
            yield
    except BaseException:
        needed = library.wanted_layers()
        await _remove_layers(library, [layer.chain_id for layer in reversed(planned) if layer.chain_id not in needed])
        if blobs_too:
            await discard_blobs(library, blobs)
        raise


@asynccontextmanager
async def blob_or_nothing(library: Library, blob: str) -> AsyncIterator[None]:
    """Hold a blob while an image is made of it; a failure leaves it only where another image needs it."""
    try:
        with library.leases.hold((blob,)):
            yield
    except BaseException:
        await discard_blobs(library, (blob,))
        raise


async def collect(library: Library) -> int:
    """Remove all content that no image and no verb needs, broken-off downloads too; the bytes that were freed."""
    busy = library.leases.is_busy
    retired = [library.content.give_up(digest) for digest in library.content.unfinished() if not busy(digest)]
    digests = await library.in_thread(lambda: list(library.content.digests()))
    needed = library.wanted_blobs()
    orphans = [each for each in digests if each not in needed and not library.leases.is_held(each)]
    retired += [library.content.retire(each) for each in orphans]
    return await library.in_thread(_size_and_unlink, [path for path in retired if path is not None])


async def discard(library: Library, image: Image) -> list[str]:
    """Remove the layers and the content that only this image needed; the chain ids that went, topmost first.

    A layer that a container still stands on stays until `prune_layers`.
    """
    await discard_blobs(library, blobs_of(image))
    needed = library.wanted_layers()
    chains = [layer.chain_id for layer in reversed(image.layers) if layer.chain_id not in needed]
    return await _remove_layers(library, chains)


async def discard_blobs(library: Library, digests: Iterable[str]) -> None:
    """Remove those of some blobs that no image and no verb needs."""
    needed = library.wanted_blobs()
    doomed = [digest for digest in digests if digest not in needed and not library.leases.is_held(digest)]
    retired = [library.content.retire(digest) for digest in doomed]
    crash_point("rmi.blobs-retired")
    await library.in_thread(_size_and_unlink, [path for path in retired if path is not None])


async def prune_layers(library: Library) -> list[str]:
    """Remove every committed layer that no image needs and nothing stands on: after containers were removed."""
    needed = library.wanted_layers()
    keys = await library.in_thread(lambda: list(library.storage.keys()))
    waiting = [key for key in keys if is_digest(key) and key not in needed]
    removed: list[str] = []
    # Children go before their parents: again and again, until a round removes nothing.
    while gone := await _remove_layers(library, waiting):
        removed += gone
        waiting = [chain for chain in waiting if chain not in gone]
    return removed


async def _remove_layers(library: Library, chains: Sequence[str]) -> list[str]:
    removed = [chain for chain in chains if await _remove_layer(library, chain)]
    if removed:
        await library.in_thread(library.storage.purge)
    return removed


async def _remove_layer(library: Library, chain: str) -> bool:
    """Remove one layer in its turn, so that nobody unpacks it meanwhile; False when it is needed."""
    async with library.leases.turn(chain):
        if library.leases.is_held(chain):
            return False
        return await library.in_thread(_remove_snapshots, library, chain)


def _remove_snapshots(library: Library, chain: str) -> bool:
    with suppress(NotFound, Conflict):
        library.storage.remove(init_key(chain))
    with suppress(NotFound, Conflict):
        library.storage.remove(chain)
        return True
    return False


def _size_and_unlink(paths: Sequence[Path]) -> int:
    freed = 0
    for path in paths:
        with suppress(FileNotFoundError):
            freed += path.stat().st_size
            path.unlink()
    return freed
