"""Finding an image by whatever a user calls it: name, digest, id, or the beginning of an id."""

import re

import msgspec

from wherry.images.library import Library
from wherry.images.naming import parse_any_name
from wherry.model.errors import NotFound
from wherry.model.image import Image
from wherry.oci.reference import Reference, parse_reference

_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


def find(library: Library, name: str) -> Image:
    """The image, with its names filled in. Raises NotFound, InvalidParameter.

    dockerd's order (moby daemon/images/image.go GetImage): a whole digest or 64 digits is an id; then a name, its
    tag `latest` unless said; then a unique beginning of an id.
    """
    return dressed(library, _find(library, name))


def _find(library: Library, name: str) -> Image:
    reference = parse_any_name(name)
    if isinstance(reference, str):
        found = library.images.get(reference)
    else:
        found = find_named(library, reference) or find_by_prefix(library, name)
    if found is None:
        shown = reference if isinstance(reference, str) else reference.with_default_tag().familiar
        raise NotFound(f"No such image: {shown}")
    return found


def find_named(library: Library, reference: Reference) -> Image | None:
    """The image that a name points at; where it has tag and digest, the digest counts."""
    exact = reference.with_digest(reference.digest) if reference.digest else reference.with_default_tag()
    tag = library.tags.get(str(exact))
    return library.images.get(tag.image_id) if tag else None


def find_by_prefix(library: Library, text: str) -> Image | None:
    """The only image whose id begins so; None for none and for several."""
    shape = _ID_PREFIX.fullmatch(text)
    if shape is None:
        return None
    found = [image for image in library.images.values() if image.id.partition(":")[2].startswith(shape[1])]
    return found[0] if len(found) == 1 else None


def dressed(library: Library, image: Image) -> Image:
    """The record with its names, as people read them."""
    tags = library.names_of(image.id)
    names = [parse_reference(tag.reference) for tag in tags]
    tagged = [tag.tagged_ns for tag, name in zip(tags, names, strict=True) if not name.digest]
    return msgspec.structs.replace(
        image,
        references=tuple(name.familiar for name in names if not name.digest),
        digests=tuple(name.familiar for name in names if name.digest),
        last_tagged_ns=max(tagged, default=0),
    )
