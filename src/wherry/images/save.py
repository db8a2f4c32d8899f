"""`docker save`: images in one tar that is both Docker's archive and an OCI layout, as Docker writes it since 25."""

import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

import msgspec

from wherry.images.content import LAYOUT
from wherry.images.derived import provide
from wherry.images.find import find, find_by_prefix, find_named
from wherry.images.library import Library, blobs_of
from wherry.images.naming import parse_any_name, parse_wanted_platform
from wherry.images.packed import NAME_ANNOTATIONS, ManifestItem
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.image import Image
from wherry.oci.image import Descriptor, Index, Platform, encode
from wherry.oci.platform import format_platform, matches, normalised
from wherry.oci.reference import Reference, parse_reference

READ_BYTES = 1024 * 1024
BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES


@dataclass(slots=True)
class _Chosen:
    """An image to be saved, under the names it was asked for by."""

    image: Image
    names: list[Reference]


async def save(library: Library, names: Iterable[str], *, platform: str = "") -> AsyncIterator[bytes]:
    """The archive as a stream of pieces; layers that images share are in it once. Raises NotFound, InvalidParameter.

    A repository without a tag saves all its tags; an id saves the image without a name.
    """
    chosen = _choose(library, names, parse_wanted_platform(platform))
    for each in chosen:
        library.announce("save", each.image.id, each.image.id, each.image)
    return _stream(library, chosen)


def _choose(library: Library, names: Iterable[str], wanted: Platform | None) -> list[_Chosen]:
    chosen: dict[str, _Chosen] = {}
    for name in names:
        for image, reference in _named(library, name, wanted):
            entry = chosen.setdefault(image.id, _Chosen(image, []))
            if reference is not None and reference not in entry.names:
                entry.names.append(reference)
    return list(chosen.values())


def _named(library: Library, name: str, wanted: Platform | None) -> Iterator[tuple[Image, Reference | None]]:
    reference = parse_any_name(name)
    if isinstance(reference, Reference) and reference.is_name_only:
        tags = [parse_reference(tag.reference) for tag in library.tags.values()]
        all_tags = sorted((tag for tag in tags if tag.name == reference.name and tag.tag), key=str)
        if all_tags:
            yield from ((_fitting(library, str(tag), wanted), tag) for tag in all_tags)
            return
        if find_by_prefix(library, name) is None:
            raise NotFound(f"No such image: {name}")
    elif _is_name(reference) and find_named(library, reference) is None:
        raise NotFound("reference does not exist")
    image = _fitting(library, name, wanted)
    is_tag = isinstance(reference, Reference) and not reference.digest and reference.with_default_tag().familiar
    yield image, reference if isinstance(reference, Reference) and is_tag in image.references else None


def _fitting(library: Library, name: str, wanted: Platform | None) -> Image:
    image = find(library, name)
    actual = Platform(os=image.os, architecture=image.architecture, variant=image.variant)
    if wanted is not None and not matches(wanted, actual):
        raise InvalidParameter(f"no suitable export target found for platform {format_platform(wanted)}")
    return image


def _is_name(reference: Reference | str) -> TypeGuard[Reference]:
    """Neither a digest, nor the beginning of one such as `sha256:abc`, which reads as a name too."""
    return isinstance(reference, Reference) and reference.familiar_name != "sha256"


async def _stream(library: Library, chosen: list[_Chosen]) -> AsyncIterator[bytes]:
    for each in chosen:
        each.image = library.images.get(each.image.id) or each.image  # a push may have compressed it meanwhile
    digests = dict.fromkeys(digest for each in chosen for digest in blobs_of(each.image))
    with library.leases.hold(digests):
        for each in chosen:
            await provide(library, each.image.layers)
        written = 0
        for name in ("blobs/", "blobs/sha256/"):
            written += BLOCK_BYTES
            yield _header(name, 0, is_directory=True)
        for digest in digests:
            async for piece in _blob(library, digest):
                written += len(piece)
                yield piece
        for name, body in await library.in_thread(_documents, library, chosen):
            piece = _header(name, len(body)) + body + _padding(len(body))
            written += len(piece)
            yield piece
        yield b"\0" * (2 * BLOCK_BYTES + -(written + 2 * BLOCK_BYTES) % RECORD_BYTES)


async def _blob(library: Library, digest: str) -> AsyncIterator[bytes]:
    with library.content.open(digest) as file:
        size = library.content.size(digest)
        yield _header(_path(digest), size)
        while piece := await library.in_thread(file.read, READ_BYTES):
            yield piece
        yield _padding(size)


def _documents(library: Library, chosen: list[_Chosen]) -> list[tuple[str, bytes]]:
    repositories: dict[str, dict[str, str]] = {}
    for each in chosen:
        for name in each.names:
            top = each.image.layers[-1].blob.partition(":")[2] if each.image.layers else ""
            repositories.setdefault(name.familiar_name, {})[name.tag] = top
    documents = [
        ("index.json", encode(Index(schema_version=2, manifests=tuple(_entries(library, chosen))))),
        ("manifest.json", msgspec.json.encode([_item(each) for each in chosen])),
        ("oci-layout", LAYOUT),
    ]
    return documents + ([("repositories", msgspec.json.encode(repositories))] if repositories else [])


def _item(each: _Chosen) -> ManifestItem:
    return ManifestItem(
        config=_path(each.image.id),
        repo_tags=tuple(name.familiar for name in each.names) or None,
        layers=tuple(_path(layer.blob) for layer in each.image.layers),
    )


def _entries(library: Library, chosen: list[_Chosen]) -> Iterator[Descriptor]:
    for each in chosen:
        platform = normalised(
            Platform(os=each.image.os, architecture=each.image.architecture, variant=each.image.variant)
        )
        names: list[Reference | None] = [*each.names] or [None]
        for name in names:
            yield Descriptor(
                media_type=each.image.manifest_type,
                digest=each.image.manifest,
                size=library.content.size(each.image.manifest),
                platform=platform,
                annotations=dict(zip(NAME_ANNOTATIONS, (str(name), name.tag), strict=True)) if name else None,
            )


def _header(name: str, size: int, *, is_directory: bool = False) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o755 if is_directory else 0o644
    member.type = tarfile.DIRTYPE if is_directory else tarfile.REGTYPE
    return member.tobuf(format=tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % BLOCK_BYTES)


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
