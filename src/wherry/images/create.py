"""New images out of parts: a layer's tar and a configuration."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from wherry import __version__
from wherry.images.compression import Cancelled, Compression, Plain, detect, detect_file
from wherry.images.garbage import layers_or_nothing
from wherry.images.library import Library
from wherry.images.progress import ignore
from wherry.images.registering import keep
from wherry.images.unpacking import plan_layers, unpack
from wherry.model.config import Config
from wherry.model.image import Image
from wherry.oci.image import History, ImageConfig, Platform, RootFs, encode
from wherry.oci.platform import host_platform
from wherry.oci.reference import Reference

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLayer:
    """A layer's tar in the content store: its digest as kept, and that of its plain bytes."""

    blob: str
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An image of one layer to be made; `created` is RFC 3339, without `platform` it is this machine's."""

    config: Config
    layer: StoredLayer
    created: str
    comment: str = ""
    platform: Platform | None = None


def store_layer(
    library: Library, source: BinaryIO, cancelled: threading.Event | None = None, *, expected: str = ""
) -> str:
    """Copy a layer's tar into the content store; the digest of what is kept. Blocks. Raises InvalidParameter.

    gzip and zstd are kept as they are, since registries take them; anything else is kept plain. With `expected` the
    bytes must have that digest.
    """
    cancelled = cancelled or threading.Event()
    first = source.read(COPY_BYTES)
    if detect(first) in {Compression.BZIP2, Compression.XZ}:
        return _store_plain(library, first, source, cancelled)
    with library.content.write(expected) as ingest:
        while first:
            ingest.write(first)
            if cancelled.is_set():
                raise Cancelled
            first = source.read(COPY_BYTES)
        return ingest.commit()


def _store_plain(library: Library, first: bytes, source: BinaryIO, cancelled: threading.Event) -> str:
    with library.content.scratch() as scratch, library.content.write() as ingest:
        while first:
            scratch.write(first)
            first = source.read(COPY_BYTES)
        scratch.seek(0)
        reader = plain_reader(library, scratch, cancelled)
        while chunk := reader.read(COPY_BYTES):
            ingest.write(chunk)
        return ingest.commit()


def plain_reader(library: Library, file: BinaryIO, cancelled: threading.Event | None = None) -> Plain:
    """A file's uncompressed bytes, within the library's limits."""
    return Plain(
        file,
        directory=str(library.content.root),
        reserve_bytes=library.limits.reserve_bytes,
        cancelled=cancelled,
    )


def diff_id_of(library: Library, blob: str, cancelled: threading.Event | None = None) -> str:
    """The digest of a blob's plain bytes. Blocks. Raises InvalidParameter."""
    with library.content.open(blob) as file:
        if detect_file(file) is Compression.NONE and blob.startswith("sha256:"):
            return blob
        return plain_reader(library, file, cancelled).drain()


async def create(library: Library, draft: Draft, *, names: Sequence[Reference] = ()) -> Image:
    """Make the image that a draft describes: layer unpacked, documents written, durable. Raises InvalidParameter.

    The draft's blob should be held by a lease; where this fails, it is removed.
    """
    planned = plan_layers([draft.layer.blob], [draft.layer.diff_id])
    async with layers_or_nothing(library, planned, blobs_too=True):
        layers = [await unpack(library, layer, ignore, status="Extracting") for layer in planned]
        return await keep(library, encode(_document(draft)), layers, names=names)


def _document(draft: Draft) -> ImageConfig:
    platform = draft.platform or host_platform()
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=draft.created,
        comment=draft.comment,
        docker_version=__version__,
        config=config_document(draft.config),
        rootfs=RootFs(diff_ids=(draft.layer.diff_id,)),
        history=(History(created=draft.created, comment=draft.comment),),
    )


def config_document(config: Config) -> dict[str, Any]:
    """A Config in the keys of an image's configuration; what was not said is left out."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return {key: value for key, value in fields.items() if value not in (None, "", False, 0)}
