"""Which images an archive holds: their documents, where their layers are, and what they shall be called."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from wherry.images.archive import Archive
from wherry.model.errors import InvalidParameter
from wherry.oci.digest import digest_of, is_digest
from wherry.oci.image import (
    CONFIG_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    Descriptor,
    ImageSpecError,
    Index,
    Platform,
    parse_config,
    parse_document,
    parse_manifest,
)
from wherry.oci.platform import choose, host_platform, matches

MANIFEST_FILE = "manifest.json"
INDEX_FILE = "index.json"
# How containerd and Docker, and how everybody else, write an image's name into a layout.
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
IMAGES_MAX = 1000

_BLOB = re.compile(r"blobs/(sha256|sha512)/([0-9a-f]+)")


class ManifestItem(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image of `manifest.json` (moby image/tarexport)."""

    config: str
    layers: tuple[str, ...] | None = None
    repo_tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An image in the archive; `manifest_body` is empty where it has none, `layers` are names of members."""

    config_body: bytes
    manifest_body: bytes
    layers: tuple[str, ...]
    names: tuple[str, ...]


def packed_images(archive: Archive, wanted: Platform | None) -> list[Packed]:
    """All images of an archive, for one platform if one is wanted. Raises InvalidParameter, ImageSpecError."""
    if MANIFEST_FILE in archive:
        found = list(_docker_images(archive, wanted))
    elif INDEX_FILE in archive:
        found = list(_layout_images(archive, wanted))
    else:
        raise InvalidParameter(f"invalid archive: neither {MANIFEST_FILE} nor {INDEX_FILE} is in it")
    if not found and wanted is not None:
        raise InvalidParameter("invalid archive: it has no image for the requested platform")
    return found


def _docker_images(archive: Archive, wanted: Platform | None) -> Iterable[Packed]:
    body = archive.read(MANIFEST_FILE, bytes_max=MANIFEST_BYTES_MAX)
    try:
        items = msgspec.json.decode(body, type=tuple[ManifestItem, ...] | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid manifest: {error}") from None
    if items is None:
        raise InvalidParameter("invalid manifest, manifest cannot be null (but can be [])")
    manifests = _manifests_by_config(archive)
    for item in items[:IMAGES_MAX]:
        config = archive.read(item.config, bytes_max=CONFIG_BYTES_MAX)
        _check_digest(item.config, config)
        if wanted is None or matches(wanted, parse_config(config).platform):
            yield Packed(
                config_body=config,
                manifest_body=manifests.get(digest_of(config), b""),
                layers=item.layers or (),
                names=item.repo_tags or (),
            )


def _manifests_by_config(archive: Archive) -> dict[str, bytes]:
    """The manifests of an archive that is a layout too, so that an image keeps its digest on the way."""
    if INDEX_FILE not in archive:
        return {}
    try:
        bodies = [_document(archive, descriptor) for descriptor in _index(archive).manifests[:IMAGES_MAX]]
        return {parse_manifest(body).config.digest: body for body in bodies if not _is_index(body)}
    except (ImageSpecError, InvalidParameter):
        return {}  # manifest.json alone decides


def _layout_images(archive: Archive, wanted: Platform | None) -> Iterable[Packed]:
    for descriptor in _index(archive).manifests[:IMAGES_MAX]:
        body = _document(archive, descriptor)
        if _is_index(body):
            chosen = choose(_parsed_index(body).manifests, wanted or host_platform())
            if chosen is None:
                continue
            body = _document(archive, chosen)
        manifest = parse_manifest(body)
        config = _document(archive, manifest.config)
        if wanted is None or matches(wanted, parse_config(config).platform):
            yield Packed(
                config_body=config,
                manifest_body=body,
                layers=tuple(_path(layer) for layer in manifest.layers),
                names=_annotated_names(descriptor),
            )


def _annotated_names(descriptor: Descriptor) -> tuple[str, ...]:
    """The name a layout gives an image; a bare tag, as skopeo and umoci write it, names no repository."""
    for key in NAME_ANNOTATIONS:
        name = (descriptor.annotations or {}).get(key, "")
        if ":" in name.rpartition("/")[2]:
            return (name,)
    return ()


def _index(archive: Archive) -> Index:
    return _parsed_index(archive.read(INDEX_FILE, bytes_max=MANIFEST_BYTES_MAX))


def _parsed_index(body: bytes) -> Index:
    document = parse_document(body)
    if not isinstance(document, Index):
        raise ImageSpecError("index.json is not an index")
    return document


def _is_index(body: bytes) -> bool:
    return isinstance(parse_document(body), Index)


def _document(archive: Archive, descriptor: Descriptor) -> bytes:
    body = archive.read(_path(descriptor), bytes_max=CONFIG_BYTES_MAX)
    _check_digest(_path(descriptor), body)
    return body


def _check_digest(path: str, body: bytes) -> None:
    digest = digest_in(path)
    if digest and digest_of(body, digest.partition(":")[0]) != digest:
        raise InvalidParameter(f"invalid archive: content of {path} does not have that digest")


def _path(descriptor: Descriptor) -> str:
    return "blobs/" + descriptor.digest.replace(":", "/")


def digest_in(path: str) -> str:
    """The digest that a member's name promises, as in `blobs/sha256/…`; empty when it promises none."""
    found = _BLOB.fullmatch(path)
    digest = f"{found[1]}:{found[2]}" if found else ""
    return digest if is_digest(digest) else ""
