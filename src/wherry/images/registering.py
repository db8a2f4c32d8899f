"""From documents to an Image record, and the moment when an image begins to exist."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wherry.images.compression import Compression, detect_file
from wherry.images.library import Library
from wherry.model.config import Config
from wherry.model.image import History, Image, Layer
from wherry.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    ImageConfig,
    ImageSpecError,
    Index,
    Manifest,
    encode,
)


def read_image(config: ImageConfig, *, image_id: str, manifest: str, layers: Sequence[Layer]) -> Image:
    """The record of an image out of its configuration. Raises ImageSpecError."""
    return Image(
        id=image_id,
        config=read_config(config.config),
        architecture=config.architecture,
        os=config.os or "linux",
        variant=config.variant,
        created=config.created or "",
        author=config.author,
        comment=config.comment or (config.history[-1].comment if config.history else ""),
        layers=tuple(layers),
        history=tuple(
            History(
                created=step.created or "",
                created_by=step.created_by,
                author=step.author,
                comment=step.comment,
                empty_layer=step.empty_layer,
            )
            for step in config.history or ()
        ),
        size_bytes=sum(layer.size_bytes for layer in layers),
        manifest=manifest,
    )


def read_config(config: dict[str, Any] | None) -> Config:
    """What an image asks of its containers; Go's nulls mean nothing was said. Raises ImageSpecError."""
    try:
        return msgspec.convert({key: value for key, value in (config or {}).items() if value is not None}, Config)
    except msgspec.ValidationError as error:
        raise ImageSpecError(f"invalid image configuration: config: {error}") from None


async def register(library: Library, image: Image) -> Image:
    """Make an image exist: its content and layers must be there, and held. Durable on return.

    An image that is there already keeps its parent; content that only the older manifest needed stays until a sweep.
    """
    known = library.images.get(image.id)
    if known is not None:
        image = msgspec.structs.replace(image, parent=image.parent or known.parent)
    await library.images.put(image.id, image)
    await publish_index(library)
    return image


def make_manifest(library: Library, config_digest: str, blobs: Sequence[str]) -> bytes:
    """A manifest for content that came without one: Docker's schema 2, or OCI's where a layer is zstd."""
    kinds = [_layer_kind(library, blob) for blob in blobs]
    is_oci = OCI_LAYER_ZSTD in kinds
    return encode(
        Manifest(
            schema_version=2,
            media_type=OCI_MANIFEST if is_oci else DOCKER_MANIFEST,
            config=Descriptor(
                media_type=OCI_CONFIG if is_oci else DOCKER_CONFIG,
                digest=config_digest,
                size=library.content.size(config_digest),
            ),
            layers=tuple(
                Descriptor(media_type=_as_oci(kind) if is_oci else kind, digest=blob, size=library.content.size(blob))
                for kind, blob in zip(kinds, blobs, strict=True)
            ),
        )
    )


def _layer_kind(library: Library, blob: str) -> str:
    with library.content.open(blob) as file:
        compression = detect_file(file)
    match compression:
        case Compression.NONE:
            return DOCKER_LAYER
        case Compression.GZIP:
            return DOCKER_LAYER_GZIP
        case Compression.ZSTD:
            return OCI_LAYER_ZSTD
        case _:
            raise ImageSpecError(f"layer {blob} is compressed by {compression}")


def _as_oci(kind: str) -> str:
    return {
        DOCKER_LAYER: "application/vnd.oci.image.layer.v1.tar",
        DOCKER_LAYER_GZIP: "application/vnd.oci.image.layer.v1.tar+gzip",
    }.get(kind, kind)


async def publish_index(library: Library) -> None:
    """Rewrite the layout's `index.json`, which is there for other tools."""
    await library.in_thread(library.content.write_index, encode(_index(library)))


def _index(library: Library) -> Index:
    return Index(schema_version=2, manifests=tuple(_entries(library)))


def _entries(library: Library) -> list[Descriptor]:
    entries: list[Descriptor] = []
    for image in library.images.values():
        if not image.manifest or not library.content.has(image.manifest):
            continue
        size = library.content.size(image.manifest)
        names = [tag.reference for tag in library.names_of(image.id) if "@" not in tag.reference]
        entries += [
            Descriptor(
                media_type=OCI_MANIFEST,
                digest=image.manifest,
                size=size,
                annotations={"org.opencontainers.image.ref.name": name} if name else None,
            )
            for name in names or [""]
        ]
    return entries
