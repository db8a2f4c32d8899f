"""`docker images`: which images there are, filtered as dockerd filters, newest first."""

import fnmatch
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from wherry.images.find import dressed, find
from wherry.images.history import created_ns, created_seconds
from wherry.images.library import Library
from wherry.model.clock import NANOSECONDS
from wherry.model.image import Image
from wherry.oci.reference import parse_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an image must be to be listed; every field that is said must fit.

    `labels` are `key` or `key=value`, of `labels_not` not all may be there; `references` patterns such as
    `*/busy*:1.*`; `until_seconds` an age limit as seconds since the epoch; `before` and `since` name images.
    """

    dangling: bool | None = None
    labels: tuple[str, ...] = ()
    labels_not: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until_seconds: int | None = None


def list_images(library: Library, *, filters: Filters | None = None, intermediate: bool = False) -> list[Image]:
    """All images that fit, newest first; unnamed parents of others only when asked for. Raises NotFound."""
    parents = {image.parent for image in library.images.values()}
    images = [dressed(library, image) for image in library.images.values()]
    images = [image for image in images if intermediate or _is_named(image) or image.id not in parents]
    for fits in _conditions(library, filters or Filters(), parents):
        images = [image for image in images if fits(image)]
    images = [_shown(image, filters) for image in images]
    return sorted(images, key=lambda image: created_seconds(image.created), reverse=True)


def shared_bytes(library: Library) -> dict[str, int]:
    """How many bytes each image shares with others, by its id."""
    owners = Counter(layer.chain_id for image in library.images.values() for layer in image.layers)
    return {
        image.id: sum(layer.size_bytes for layer in image.layers if owners[layer.chain_id] > 1)
        for image in library.images.values()
    }


def layers_bytes(library: Library) -> int:
    """What all layers of all images take, each counted once."""
    return sum(
        {layer.chain_id: layer.size_bytes for image in library.images.values() for layer in image.layers}.values()
    )


def has_label(labels: dict[str, str] | None, wanted: str) -> bool:
    """Whether a label filter, `key` or `key=value`, fits."""
    key, equals, value = wanted.partition("=")
    return key in (labels or {}) and (not equals or (labels or {})[key] == value)


def _is_named(image: Image) -> bool:
    return bool(image.references or image.digests)


def _conditions(library: Library, filters: Filters, parents: set[str]) -> list[Callable[[Image], bool]]:
    limits = [created_ns(find(library, name).created) for name in filters.before]
    limits += [filters.until_seconds * NANOSECONDS] if filters.until_seconds is not None else []
    before = min(limits, default=None)
    since = max((created_ns(find(library, name).created) for name in filters.since), default=None)
    conditions: list[Callable[[Image], bool]] = []
    if filters.labels:
        conditions.append(lambda image: all(has_label(image.config.labels, label) for label in filters.labels))
    if filters.labels_not:
        conditions.append(lambda image: not all(has_label(image.config.labels, label) for label in filters.labels_not))
    if filters.dangling is not None:
        conditions.append(lambda image: filters.dangling == (not image.references and image.id not in parents))
    if filters.references:
        conditions.append(lambda image: bool(_matching(image, filters.references)))
    if before is not None:
        conditions.append(lambda image: created_ns(image.created) < before)
    if since is not None:
        conditions.append(lambda image: created_ns(image.created) > since)
    return conditions


def _shown(image: Image, filters: Filters | None) -> Image:
    """With a filter on names, only the names that fit are listed."""
    if filters is None or not filters.references:
        return image
    fitting = _matching(image, filters.references)
    return msgspec.structs.replace(
        image,
        references=tuple(name for name in image.references if name in fitting),
        digests=tuple(name for name in image.digests if name in fitting),
    )


def _matching(image: Image, patterns: tuple[str, ...]) -> set[str]:
    return {name for name in (*image.references, *image.digests) for pattern in patterns if _fits(name, pattern)}


def _fits(name: str, pattern: str) -> bool:
    """distribution/reference FamiliarMatch: the whole name or the repository alone; a `*` stays within a slash."""
    reference = parse_reference(name)
    return any(_path_match(text, pattern) for text in (reference.familiar, reference.familiar_name))


def _path_match(text: str, pattern: str) -> bool:
    parts, wanted = text.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
