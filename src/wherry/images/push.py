"""`docker push`: an image's content to a registry, what is there already left out, told as dockerd tells it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import BinaryIO, cast

import msgspec

from wherry.images.compression import Cancelled, Compression, compressor, detect_file
from wherry.images.derived import provide
from wherry.images.download import back_off
from wherry.images.garbage import discard_blobs
from wherry.images.library import Library, blobs_of
from wherry.images.naming import parse_name
from wherry.images.progress import Meter, Progress, Report, ignore
from wherry.images.registering import keep
from wherry.images.resolving import first_failure, from_first
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.ids import short_id
from wherry.model.image import Image, Layer
from wherry.oci.image import Descriptor, Manifest, parse_manifest
from wherry.oci.reference import Reference, parse_reference
from wherry.registry import uploading
from wherry.registry.credentials import ANONYMOUS, Credentials
from wherry.registry.errors import RegistryError
from wherry.registry.repository import Repository

READ_BYTES = 1024 * 1024
# Each try costs a request; the newest few repositories are the likeliest (moby distribution/push_v2.go).
MOUNTS_MAX = 3


async def push(library: Library, name: str, *, credentials: Credentials = ANONYMOUS, report: Report = ignore) -> None:
    """Send a tag, or all tags of a repository when none is said. Raises NotFound, RegistryError, InvalidParameter."""
    reference = parse_name(name)
    if reference.digest:
        raise InvalidParameter("cannot push a digest reference")
    report(Progress(status=f"The push refers to repository [{reference.name}]"))
    chosen = _choose(library, reference)
    repositories = await library.registries.repositories(reference, credentials, push=True)
    for each, image in chosen:
        verb = _Push(library, each, image, report)
        await from_first(repositories, each, verb.run, is_reading=False)
        library.announce("push", each.familiar, each.familiar_name, image)


def _choose(library: Library, reference: Reference) -> list[tuple[Reference, Image]]:
    tags = [(parse_reference(tag.reference), tag.image_id) for tag in library.tags.values()]
    known = [(each, image_id) for each, image_id in tags if each.name == reference.name and each.tag]
    if not known:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    chosen = [(each, image_id) for each, image_id in known if reference.tag in {"", each.tag}]
    if not chosen:
        raise NotFound(f"tag does not exist: {reference.familiar}")
    found = [(each, library.images.get(image_id)) for each, image_id in sorted(chosen, key=str)]
    return [(each, image) for each, image in found if image is not None]


@dataclass(frozen=True, slots=True)
class _Push:
    """One run of the verb: one tag."""

    library: Library
    reference: Reference
    image: Image
    report: Report

    async def run(self, repository: Repository) -> None:
        """Layers side by side, then the configuration, then the manifest, which makes it visible."""
        library = self.library
        old = library.images.get(self.image.id) or self.image  # another tag's push may have compressed it
        for layer in reversed(old.layers):
            self.report(Progress(id=short_id(layer.diff_id), status="Preparing", has_detail=True))
        with library.leases.hold(list(blobs_of(old))):
            await provide(library, old.layers)
            image = await compress_layers(library, old)
            with library.leases.hold(list(blobs_of(image))):
                await self._send(repository, image)
        await discard_blobs(library, blobs_of(old))

    async def _send(self, repository: Repository, image: Image) -> None:
        body = await self.library.in_thread(self.library.content.read, image.manifest)
        manifest = parse_manifest(body)
        await self._layers(repository, image, manifest)
        await self._config(repository, manifest.config)
        stored = await uploading.put_manifest(repository, self.reference.tag, body, image.manifest_type)
        await self.library.name(image.id, self.reference.with_digest(stored.digest))
        tag = self.reference.tag
        self.report(Progress(status=f"{tag}: digest: {stored.digest} size: {stored.size}"))
        self.report(Progress(aux={"Tag": tag, "Digest": stored.digest, "Size": stored.size}))

    async def _layers(self, repository: Repository, image: Image, manifest: Manifest) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                sent: set[str] = set()
                for layer, descriptor in reversed(list(zip(image.layers, manifest.layers, strict=True))):
                    if descriptor.digest not in sent:
                        sent.add(descriptor.digest)
                        group.create_task(self._layer(repository, layer, descriptor), name=f"push {layer.blob}")
        except BaseExceptionGroup as failures:
            raise first_failure(failures) from failures

    async def _layer(self, repository: Repository, layer: Layer, descriptor: Descriptor) -> None:
        short = short_id(layer.diff_id)
        if self.library.uploads.locked():
            self.report(Progress(id=short, status="Waiting", has_detail=True))
        async with self.library.uploads:
            status = await self._place(repository, descriptor, short)
        self.report(Progress(id=short, status=status, has_detail=True))

    async def _place(self, repository: Repository, descriptor: Descriptor, short: str) -> str:
        """Have a blob in the repository; how that was done."""
        if await uploading.has_blob(repository, descriptor.digest):
            return "Layer already exists"
        location = ""
        for neighbour in _neighbours(self.library, self.reference, descriptor.digest):
            location = await uploading.begin(repository, descriptor.digest, mount_from=neighbour)
            if not location:
                return f"Mounted from {neighbour}"
        meter = Meter(self.report, Progress(id=short, status="Pushing", total=descriptor.size))
        await self._upload(repository, descriptor, meter, location)
        return "Pushed"

    async def _upload(self, repository: Repository, descriptor: Descriptor, meter: Meter, location: str) -> None:
        """Send the bytes, going on after a broken connection where the registry says it stands."""
        for attempt in range(1, self.library.limits.attempts_max + 1):
            try:
                return await self._attempt(repository, descriptor, meter, location)
            except RegistryError as error:
                if error.is_final or attempt == self.library.limits.attempts_max:
                    raise
            await back_off(self.library, attempt, short_id(descriptor.digest), self.report)
            location = ""
        return None

    async def _attempt(self, repository: Repository, descriptor: Descriptor, meter: Meter, location: str) -> None:
        location = location or await uploading.begin(repository)

        def source(offset: int) -> AsyncIterator[bytes]:
            return _pieces(self.library, descriptor.digest, offset, meter)

        try:
            location = await uploading.send(repository, location, source)
        except RegistryError as error:
            if error.is_final:
                raise
            location, offset = await uploading.received(repository, location)
            location = await uploading.send(repository, location, source, offset=offset)
        await uploading.seal(repository, location, descriptor.digest)

    async def _config(self, repository: Repository, descriptor: Descriptor) -> None:
        if not await uploading.has_blob(repository, descriptor.digest):
            await self._upload(repository, descriptor, Meter(ignore, Progress(total=descriptor.size)), "")


async def _pieces(library: Library, digest: str, offset: int, meter: Meter) -> AsyncIterator[bytes]:
    with library.content.open(digest) as file:
        file.seek(offset)
        while piece := await library.in_thread(file.read, READ_BYTES):
            yield piece
            offset += len(piece)
            meter.reach(offset)


def _neighbours(library: Library, reference: Reference, blob: str) -> Iterable[str]:
    """Repositories of the same registry that should have the blob: their images here have come from or gone to it."""
    owners = {image.id for image in library.images.values() if any(layer.blob == blob for layer in image.layers)}
    names = [parse_reference(tag.reference) for tag in library.tags.values() if tag.image_id in owners]
    paths = {name.path for name in names if name.digest and name.domain == reference.domain}
    return sorted(paths - {reference.path})[:MOUNTS_MAX]


async def compress_layers(library: Library, image: Image) -> Image:
    """The image with all its layers compressed, as registries want them; its manifest changes, its id does not."""
    plain = await library.in_thread(_plain_layers, library, image)
    if not plain:
        return image
    layers = []
    for layer in image.layers:
        blob = await _compressed(library, layer) if layer.blob in plain else layer.blob
        layers.append(msgspec.structs.replace(layer, blob=blob))
    config = await library.in_thread(library.content.read, image.id)
    return await keep(library, config, layers, parent=image.parent)


def _plain_layers(library: Library, image: Image) -> set[str]:
    return {layer.blob for layer in image.layers if _is_plain(library, layer.blob)}


def _is_plain(library: Library, blob: str) -> bool:
    with library.content.open(blob) as file:
        return detect_file(file) is Compression.NONE


async def _compressed(library: Library, layer: Layer) -> str:
    return await library.in_cancellable_thread(lambda cancelled: _compress(library, layer.blob, cancelled))


def _compress(library: Library, blob: str, cancelled: threading.Event) -> str:
    with library.content.open(blob) as source, library.content.write() as ingest:
        with compressor(cast("BinaryIO", ingest)) as target:
            while piece := source.read(READ_BYTES):
                target.write(piece)
                if cancelled.is_set():
                    raise Cancelled
        return ingest.commit()
