"""Finding what is wrong among blobs, downloads and names of images, and mending it; layers are the storage driver's."""

import time
from pathlib import Path

from wherry.images.derived import is_derivable
from wherry.images.garbage import discard_blobs
from wherry.images.library import Library, blobs_of
from wherry.model.errors import NotFound
from wherry.model.finding import Finding
from wherry.model.image import Image

BLOB = "blob"
DOWNLOAD = "unfinished download"
FILE = "stray file"
MISSING = "missing blob"
DAMAGED = "damaged blob"
NAME = "image name"

# A blob that has just come may be about to be held by whoever brought it.
SETTLED_SECONDS = 2.0

_AGAIN = "remove the image and pull it again"


async def audit(library: Library, *, deep: bool = False) -> list[Finding]:
    """Content that no image needs and no verb holds, and content that images miss. Changes nothing.

    `deep` reads every blob of an image and compares it with its digest, which takes as long as the disk is slow.
    """
    found = await library.in_thread(_leftovers, library)
    for tag in library.tags.values():
        if library.images.get(tag.image_id) is None:
            problem = f"its image {tag.image_id} is gone"
            found.append(Finding(kind=NAME, name=tag.reference, problem=problem, remedy="remove it"))
    for image in library.images.values():
        found += await library.in_thread(_damages, library, image, deep=deep)
    return found


async def mend(library: Library, finding: Finding) -> None:
    """Do what the finding's remedy says. Raises NotFound when it is in use by now, OSError."""
    match finding.kind:
        case "blob":
            await discard_blobs(library, [finding.name])
        case "unfinished download":
            _unlink(None if library.leases.is_held(finding.name) else library.content.give_up(finding.name))
        case "stray file":
            if Path(finding.name) not in library.content.strangers():
                raise NotFound(f"{finding.name} is in use or gone")
            Path(finding.name).unlink()
        case "image name":
            await library.tags.commit(library.tags.stage_removal(finding.name))
            library.index_is_stale.set()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # it went meanwhile, which removing it again does not change


def _unlink(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def _leftovers(library: Library) -> list[Finding]:
    content = library.content
    before = time.time() - SETTLED_SECONDS
    there = [each for each in sorted(content.digests()) if _changed_at(content.path(each)) < before]
    unfinished = sorted(content.unfinished())
    strangers = content.strangers()
    # Only now, so that what has become an image's meanwhile is none.
    needed = library.wanted_blobs()
    free = [each for each in there if each not in needed and not library.leases.is_held(each)]
    kept = "no image needs it; a pull that broke off would go on with it"
    found = [Finding(kind=BLOB, name=each, problem=kept, remedy="remove it") for each in free]
    problem = "a pull broke off; the next one would go on with it"
    broken_off = [each for each in unfinished if not library.leases.is_held(each)]
    found += [Finding(kind=DOWNLOAD, name=each, problem=problem, remedy="give it up") for each in broken_off]
    problem = "it is neither a blob nor a download"
    return found + [Finding(kind=FILE, name=str(each), problem=problem, remedy="remove it") for each in strangers]


def _damages(library: Library, image: Image, *, deep: bool) -> list[Finding]:
    found = []
    layers = [layer for layer in image.layers if library.storage.exists(layer.chain_id)]
    to_come = {layer.blob for layer in layers if is_derivable(layer)}
    for digest in blobs_of(image):
        if digest in to_come and not library.content.has(digest):
            continue  # written after the answer, or made when it is needed
        if not library.content.has(digest):
            problem = f"image {image.id} needs it: {_AGAIN}"
            found.append(Finding(kind=MISSING, name=digest, problem=problem))
        elif deep and not library.content.is_whole(digest):
            problem = f"its bytes are not what its digest says, and image {image.id} needs it: {_AGAIN}"
            found.append(Finding(kind=DAMAGED, name=digest, problem=problem))
    return found
