"""`docker history`: the steps that made an image, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wherry.images.find import dressed, find
from wherry.images.library import Library
from wherry.model.clock import NANOSECONDS, parse_rfc3339
from wherry.model.errors import InvalidParameter
from wherry.model.image import History, Image, Layer

MISSING = "<missing>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the history; `id` is `<missing>` where no image of that step is here. `created` in seconds."""

    created: int
    created_by: str
    size_bytes: int
    comment: str
    id: str = MISSING
    tags: tuple[str, ...] = ()


def history(library: Library, name: str) -> list[Step]:
    """The steps of an image, newest first. Raises NotFound, InvalidParameter."""
    image = find(library, name)
    layers = iter(image.layers)
    steps = [_step(entry, layers) for entry in image.history]
    return list(_with_images(library, image, steps[::-1]))


def created_seconds(created: str) -> int:
    """An image's time as seconds since the epoch; Go's zero time when it says none."""
    return created_ns(created) // NANOSECONDS


def created_ns(created: str) -> int:
    """The same in nanoseconds."""
    try:
        return parse_rfc3339(created) if created else 0
    except InvalidParameter:
        return 0


def _step(entry: History, layers: Iterator[Layer]) -> Step:
    layer = None if entry.empty_layer else next(layers, None)
    return Step(
        created=created_seconds(entry.created),
        created_by=entry.created_by,
        size_bytes=layer.size_bytes if layer else 0,
        comment=entry.comment,
    )


def _with_images(library: Library, image: Image, steps: list[Step]) -> Iterator[Step]:
    """The newest step is the image itself; the next ones its parents, as far as they are known."""
    current: Image | None = image
    for step in steps:
        if current is None:
            yield step
            continue
        yield replace(step, id=current.id, tags=dressed(library, current).references)
        current = library.images.get(current.parent) if current.parent else None
