"""`docker load`: images out of an archive, Docker's (`manifest.json`) or an OCI layout (`index.json`)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

from wherry.crashpoints import crash_point
from wherry.images.archive import Archive, spool_plain
from wherry.images.content import ContentMismatch
from wherry.images.create import store_layer
from wherry.images.find import find_named
from wherry.images.garbage import layers_or_nothing
from wherry.images.library import Library
from wherry.images.naming import parse_name, parse_wanted_platform
from wherry.images.packed import Packed, digest_in, packed_images
from wherry.images.progress import Progress, Report, ignore
from wherry.images.registering import keep, read_config
from wherry.images.unpacking import LayerMismatch, PlannedLayer, plan_layers, unpack
from wherry.model.errors import InvalidParameter
from wherry.model.ids import short_id
from wherry.model.image import Image, Layer
from wherry.oci.image import ImageConfig, ImageSpecError, parse_config
from wherry.oci.reference import Reference


async def load(
    library: Library, body: AsyncIterator[bytes], *, platform: str = "", quiet: bool = False, report: Report = ignore
) -> list[str]:
    """Take in all images of an archive, plain or compressed; their ids. Raises InvalidParameter, EngineError.

    Images that were complete before a failure stay. `quiet` leaves out the progress of layers.
    """
    wanted = parse_wanted_platform(platform)
    with await spool_plain(library, body) as file:
        archive = await library.in_thread(Archive, file)
        try:
            packed = await library.in_thread(packed_images, archive, wanted)
            return await _load_all(library, archive, packed, ignore if quiet else report, report)
        except (ImageSpecError, ContentMismatch) as error:
            raise InvalidParameter(f"invalid archive: {error}") from error


async def _load_all(
    library: Library, archive: Archive, packed: Sequence[Packed], layer_report: Report, report: Report
) -> list[str]:
    images = []
    for each in packed:
        names = [_full_name(name) for name in each.names]
        had = {name: found.id for name in names if (found := find_named(library, name)) is not None}
        image = await _load_one(library, archive, each, names, layer_report)
        images.append(image)
        crash_point("load.registered")
        for name in names:
            _tell_name(name, had.get(name, image.id), image.id, report)
        library.announce("load", image.id, image.id, image)
    if not any(each.names for each in packed):
        for image in images:
            report(Progress(stream=f"Loaded image ID: {image.id}\n"))
    return [image.id for image in images]


def _tell_name(name: Reference, old_id: str, new_id: str, report: Report) -> None:
    if old_id != new_id:
        report(
            Progress(
                stream=f"The image {name.familiar} already exists, renaming the old one with ID {old_id} "
                "to empty string\n"
            )
        )
    report(Progress(stream=f"Loaded image: {name.familiar}\n"))


def _full_name(text: str) -> Reference:
    name = parse_name(text)
    if not name.tag:
        raise InvalidParameter(f'invalid tag "{text}"')
    return name


async def _load_one(
    library: Library, archive: Archive, packed: Packed, names: Sequence[Reference], report: Report
) -> Image:
    config = _checked(parse_config(packed.config_body), packed)
    with ExitStack() as leases:
        blobs = [
            await _store(library, archive, path, diff_id, leases)
            for path, diff_id in zip(packed.layers, config.diff_ids, strict=True)
        ]
        planned = plan_layers(blobs, config.diff_ids)
        async with layers_or_nothing(library, planned, blobs_too=True):
            leases.close()
            layers = [await _unpack(library, number, layer, report) for number, layer in enumerate(planned)]
            return await keep(library, packed.config_body, layers, manifest_body=packed.manifest_body, names=names)


async def _store(library: Library, archive: Archive, path: str, diff_id: str, leases: ExitStack) -> str:
    """The digest of a layer's blob in the content store, copied there unless the layer is known already."""
    while True:
        blob = await library.in_thread(_known_blob, library, diff_id) or await _copy(library, archive, path)
        leases.enter_context(library.leases.hold((blob,)))
        # Before it was held, the removal of another image may have taken it along.
        if library.content.has(blob):
            crash_point("load.blob-kept")
            return blob


async def _copy(library: Library, archive: Archive, path: str) -> str:
    source = archive.open(path)
    return await library.in_cancellable_thread(
        lambda cancelled: store_layer(library, source, cancelled, expected=digest_in(path))
    )


def _known_blob(library: Library, diff_id: str) -> str:
    for image in library.images.values():
        for layer in image.layers:
            if layer.diff_id == diff_id and layer.blob and library.content.has(layer.blob):
                return layer.blob
    return ""


async def _unpack(library: Library, number: int, layer: PlannedLayer, report: Report) -> Layer:
    try:
        return await unpack(library, layer, report, status="Loading layer", short=short_id(layer.diff_id))
    except LayerMismatch as error:
        raise InvalidParameter(
            f'invalid diffID for layer {number}: expected "{layer.diff_id}", got "{error.found}"'
        ) from error


def _checked(config: ImageConfig, packed: Packed) -> ImageConfig:
    read_config(config.config)
    if config.platform.os != "linux":
        raise InvalidParameter(f"cannot load {config.platform.os} image on linux")
    if len(packed.layers) != len(config.diff_ids):
        raise InvalidParameter(
            f"invalid manifest, layers length mismatch: expected {len(packed.layers)}, got {len(config.diff_ids)}"
        )
    return config
