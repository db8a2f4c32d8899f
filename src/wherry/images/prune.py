"""`docker image prune`: the images that nobody needs."""

from wherry.images.garbage import collect
from wherry.images.library import Library
from wherry.images.list import Filters, list_images
from wherry.images.remove import Deleted, Removed, Users, remove
from wherry.model.errors import Conflict, NotFound


async def prune(
    library: Library, *, users: Users, filters: Filters | None = None, named_too: bool = False
) -> tuple[list[Removed], int]:
    """Remove unused images, the unnamed ones only unless `named_too`; what went, and the bytes of its layers."""
    chosen = list_images(library, filters=filters)
    sizes = {layer.chain_id: layer.size_bytes for image in chosen for layer in image.layers}
    removed: list[Removed] = []
    for image in chosen:
        if users.get(image.id) or (image.references and not named_too):
            continue
        for name in (*image.references, *image.digests) or (image.id,):
            try:
                removed += await remove(library, name, users=users)
            except (Conflict, NotFound):
                continue  # it is a parent of another, or went with the name before
    await collect(library)
    freed = sum(sizes.get(each.id, 0) for each in removed if isinstance(each, Deleted))
    return removed, freed
