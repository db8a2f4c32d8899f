"""`docker pull`: from a name to an image with its layers unpacked, told as dockerd tells it."""

import asyncio

from wherry.crashpoints import crash_point
from wherry.images.download import download
from wherry.images.find import find_named
from wherry.images.garbage import layers_or_nothing
from wherry.images.library import Library, blobs_of
from wherry.images.naming import parse_name, parse_wanted_platform
from wherry.images.progress import Progress, Report, ignore
from wherry.images.registering import keep, read_config, register
from wherry.images.resolving import Resolved, first_failure, from_first, resolve
from wherry.images.unpacking import LayerMismatch, PlannedLayer, plan_layers, unpack
from wherry.model.errors import InvalidParameter
from wherry.model.image import Image, Layer
from wherry.oci.image import CONFIG_BYTES_MAX, Descriptor, ImageConfig, Platform, parse_config
from wherry.oci.platform import format_platform, matches
from wherry.oci.reference import Reference
from wherry.registry.credentials import ANONYMOUS, Credentials
from wherry.registry.repository import Repository


async def pull(
    library: Library,
    name: str,
    *,
    platform: str = "",
    credentials: Credentials = ANONYMOUS,
    all_tags: bool = False,
    report: Report = ignore,
) -> None:
    """Have the image that a name stands for. Raises InvalidParameter, NotFound, RegistryError, EngineError.

    With `all_tags` every tag of the repository is pulled. Progress is dockerd's, message by message. A pull that
    fails or is cancelled leaves no name and no image, only what the next pull can use.
    """
    reference = parse_name(name)
    target = parse_wanted_platform(platform)
    if all_tags and not reference.is_name_only:
        raise InvalidParameter("tag can't be used with --all-tags/-a")
    repositories = await library.registries.repositories(reference, credentials)
    wanted = [reference.with_default_tag()]
    if all_tags:
        tags = await from_first(repositories, reference, Repository.tags)
        wanted = [reference.with_tag(tag) for tag in tags]
    news = [await from_first(repositories, each, _Pull(library, target, report, each)) for each in wanted]
    shown = reference.familiar_name if all_tags else wanted[0].familiar
    state = "Downloaded newer image" if any(news) else "Image is up to date"
    report(Progress(status=f"Status: {state} for {shown}"))
    library.announce("pull", shown, reference.familiar_name, find_named(library, wanted[0]) if wanted else None)


class _Pull:
    """The pull of one tag or digest; calling it with a repository runs it. True when something changed."""

    def __init__(self, library: Library, wanted: Platform | None, report: Report, reference: Reference) -> None:
        self._library = library
        self._wanted = wanted
        self._report = report
        self._reference = reference

    async def __call__(self, repository: Repository) -> bool:
        reference = self._reference
        found = await resolve(repository, reference, self._wanted)
        title = reference.digest or reference.tag
        self._report(Progress(id=title, status=f"Pulling from {repository.path}"))
        names = self._names(found.digest)
        # The tag's is the moment that others see, a digest's where there is none.
        old = self._library.tags.get(str(names[-1]))
        image = await self._known(found, names) or await self._fetch(repository, found, names)
        crash_point("pull.registered")
        self._warn_of_platform(image)
        self._report(Progress(status=f"Digest: {found.digest}"))
        return old is None or old.image_id != image.id

    def _names(self, digest: str) -> list[Reference]:
        by_digest = self._reference.with_digest(digest)
        return [by_digest] if self._reference.digest else [by_digest, self._reference]

    async def _known(self, found: Resolved, names: list[Reference]) -> Image | None:
        """The image, if it is here and nothing of it has been lost from the disk, with its names."""
        library = self._library
        image = library.images.get(found.manifest.config.digest)
        if image is None:
            return None
        with library.leases.hold((*blobs_of(image), *(layer.chain_id for layer in image.layers))):
            if not await library.in_thread(_has_all, library, image):
                return None
            if library.images.get(image.id):
                await library.name(image.id, *names)
                return image
            # Meanwhile another verb has removed it; what is held stayed.
            return await register(library, image, names)

    async def _fetch(self, repository: Repository, found: Resolved, names: list[Reference]) -> Image:
        library, config_at = self._library, found.manifest.config
        config_body = await repository.blob(config_at, bytes_max=CONFIG_BYTES_MAX)
        config = parse_config(config_body)
        _check_system(config)
        read_config(config.config)  # what cannot be read is refused before anything is fetched
        blobs = [layer.digest for layer in found.manifest.layers]
        if len(config.diff_ids) != len(blobs):
            raise LayerMismatch("layers from manifest don't match image configuration")
        planned = plan_layers(blobs, config.diff_ids)
        documents = (found.manifest_digest, config_at.digest)
        async with layers_or_nothing(library, planned, blobs_too=False):
            layers = await self._layers(repository, found.manifest.layers, planned)
            with library.leases.hold(documents):
                return await keep(library, config_body, layers, manifest_body=found.manifest_body, names=names)

    async def _layers(
        self, repository: Repository, descriptors: tuple[Descriptor, ...], planned: list[PlannedLayer]
    ) -> list[Layer]:
        """Download side by side, unpack in order. The first failure ends all; what is complete stays."""
        missing = await self._library.in_thread(_missing, self._library, planned)
        for layer in planned:
            status = "Pulling fs layer" if layer.chain_id in missing else "Already exists"
            self._report(Progress(id=layer.short, status=status, has_detail=True))
        try:
            async with asyncio.TaskGroup() as group:
                blobs: dict[str, asyncio.Task[None]] = {}
                for descriptor, layer in zip(descriptors, planned, strict=True):
                    if layer.chain_id in missing and descriptor.digest not in blobs:
                        fetching = download(self._library, repository, descriptor, self._report)
                        blobs[descriptor.digest] = group.create_task(fetching, name=f"download {layer.short}")
                return [await self._layer(layer, missing, blobs) for layer in planned]
        except BaseExceptionGroup as failures:
            raise first_failure(failures) from failures

    async def _layer(self, layer: PlannedLayer, missing: set[str], blobs: dict[str, "asyncio.Task[None]"]) -> Layer:
        if layer.chain_id in missing:
            await blobs[layer.blob]
        try:
            unpacked = await unpack(self._library, layer, self._report, status="Extracting")
        except InvalidParameter as error:
            raise InvalidParameter(f"failed to register layer: {error}") from error
        if layer.chain_id in missing:
            self._report(Progress(id=layer.short, status="Pull complete", has_detail=True))
        return unpacked

    def _warn_of_platform(self, image: Image) -> None:
        actual = Platform(os=image.os, architecture=image.architecture, variant=image.variant)
        if self._wanted is not None and not matches(self._wanted, actual):
            self._report(
                Progress(
                    status=f"WARNING: image with reference {self._reference.familiar} was found but does not match the "
                    f"specified platform: wanted {format_platform(self._wanted)}, actual: {format_platform(actual)}"
                )
            )


def _check_system(config: ImageConfig) -> None:
    if config.platform.os != "linux":
        raise InvalidParameter(
            f'image operating system "{config.platform.os}" cannot be used on this platform: '
            "operating system is not supported"
        )


def _has_all(library: Library, image: Image) -> bool:
    blobs = (image.id, image.manifest, *(layer.blob for layer in image.layers))
    layers = (layer.chain_id for layer in image.layers)
    return all(blob and library.content.has(blob) for blob in blobs) and all(map(library.storage.exists, layers))


def _missing(library: Library, planned: list[PlannedLayer]) -> set[str]:
    """The chain ids of layers of which the blob or the snapshot is not there."""
    return {
        layer.chain_id
        for layer in planned
        if not (library.content.has(layer.blob) and library.storage.exists(layer.chain_id))
    }
