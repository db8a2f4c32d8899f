"""From documents to an Image record, and the moment when an image begins to exist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from wherry.crashpoints import crash_point
from wherry.images.compression import Compression, detect_file
from wherry.images.library import Library
from wherry.model.config import Config
from wherry.model.image import History, Image, Layer
from wherry.oci.digest import digest_of
from wherry.oci.image import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    ImageConfig,
    ImageSpecError,
    Manifest,
    encode,
    parse_config,
    parse_manifest,
)
from wherry.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Documents:
    """What an image is made of beside its layers, in the content store: its configuration and its manifest."""

    config: ImageConfig
    config_digest: str
    manifest_digest: str
    manifest_type: str

    def image(self, layers: Sequence[Layer], parent: str = "") -> Image:
        """The record of their image. Raises ImageSpecError."""
        image = read_image(self.config, self.config_digest, layers)
        return msgspec.structs.replace(
            image, manifest=self.manifest_digest, manifest_type=self.manifest_type, parent=parent
        )


async def keep(
    library: Library,
    config_body: bytes,
    layers: Sequence[Layer],
    *,
    manifest_body: bytes = b"",
    parent: str = "",
    names: Sequence[Reference] = (),
) -> Image:
    """Store an image's documents and make it exist under its names. Raises ImageSpecError.

    The layers must be there, and held. Without `manifest_body`, or where that names other blobs, a manifest is made.
    """
    blobs = [layer.blob for layer in layers]
    documents = await library.in_thread(keep_documents, library, config_body, blobs, manifest_body=manifest_body)
    return await register(library, documents.image(layers, parent), names)


def keep_documents(
    library: Library,
    config_body: bytes,
    blobs: Sequence[str],
    *,
    manifest_body: bytes = b"",
    to_come: Mapping[str, int] | None = None,
) -> Documents:
    """Store the documents of an image whose layers are these blobs, durable on return. Blocks. Raises ImageSpecError.

    Blobs that are `to_come` need not be there yet, only their sizes in bytes are known.
    """
    if not manifest_body or [layer.digest for layer in parse_manifest(manifest_body).layers] != blobs:
        manifest_body = _make_manifest(library, config_body, blobs, to_come or {})
    config = parse_config(config_body)
    manifest_type = parse_manifest(manifest_body).media_type or OCI_MANIFEST
    config_digest, manifest_digest = library.content.add(config_body, manifest_body)
    crash_point("image.documents-kept")
    return Documents(config, config_digest, manifest_digest, manifest_type)


def read_image(config: ImageConfig, image_id: str, layers: Sequence[Layer]) -> Image:
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
        docker_version=config.docker_version,
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
    )


def read_config(config: dict[str, Any] | None) -> Config:
    """What an image asks of its containers; Go's nulls mean nothing was said. Raises ImageSpecError."""
    try:
        return msgspec.convert({key: value for key, value in (config or {}).items() if value is not None}, Config)
    except msgspec.ValidationError as error:
        raise ImageSpecError(f"invalid image configuration: config: {error}") from None


async def register(library: Library, image: Image, names: Sequence[Reference] = ()) -> Image:
    """Make an image exist and have these names: its content and layers must be there, and held. Durable on return.

    An image that is there already keeps its parent; content that only the older manifest needed stays until a sweep.
    """
    known = library.images.get(image.id)
    if known is not None:
        image = msgspec.structs.replace(image, parent=image.parent or known.parent)
    staged = library.images.stage(image.id, image)
    await library.images.commit(staged, *library.stage_names(image.id, names))
    crash_point("image.recorded")
    library.index_is_stale.set()
    return image


def _make_manifest(library: Library, config_body: bytes, blobs: Sequence[str], to_come: Mapping[str, int]) -> bytes:
    """An OCI manifest for content that came without one. Blocks. Raises FileNotFoundError, ImageSpecError."""
    layers = tuple(
        Descriptor(media_type=OCI_LAYER, digest=blob, size=to_come[blob])  # and then it is plain
        if blob in to_come
        else Descriptor(media_type=_layer_kind(library, blob), digest=blob, size=library.content.size(blob))
        for blob in blobs
    )
    config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(config_body), size=len(config_body))
    return encode(Manifest(schema_version=2, media_type=OCI_MANIFEST, config=config, layers=layers))


def _layer_kind(library: Library, blob: str) -> str:
    with library.content.open(blob) as file:
        compression = detect_file(file)
    kinds = {Compression.NONE: OCI_LAYER, Compression.GZIP: OCI_LAYER_GZIP, Compression.ZSTD: OCI_LAYER_ZSTD}
    if compression not in kinds:
        raise ImageSpecError(f"layer {blob} is compressed by {compression}")
    return kinds[compression]
