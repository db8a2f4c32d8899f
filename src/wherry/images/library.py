"""The library: everything the verbs on images need, in one record; and what they share."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, ParamSpec, Protocol, TypeVar

from wherry.images.content import Content
from wherry.images.leases import Leases
from wherry.model.clock import now_ns
from wherry.model.event import Event
from wherry.model.image import Image, Tag
from wherry.oci.reference import Reference
from wherry.records.shelf import Staged
from wherry.registry.client import Registries
from wherry.storage.driver import Extraction, Usage

# dockerd's --max-concurrent-downloads, --max-concurrent-uploads, --max-download-attempts.
DOWNLOADS_MAX = 3
UPLOADS_MAX = 5
ATTEMPTS_MAX = 5
THREADS_MAX = 8
# Unpacking stops before the disk is so full that nothing else works any more.
RESERVE_BYTES = 64 * 1024 * 1024

V = TypeVar("V")
P = ParamSpec("P")
R = TypeVar("R")


class Shelf(Protocol[V]):
    """Durable records by key: read from memory, durable when a change has been awaited."""

    def get(self, key: str) -> V | None:
        """The record, or None."""

    def values(self) -> Sequence[V]:
        """All of them."""

    def stage(self, key: str, record: V, /) -> Staged:
        """Write one, durable with a later `commit`."""

    def stage_removal(self, key: str) -> Staged:
        """Remove one, durable with a later `commit`; a missing one is fine."""

    async def commit(self, *staged: Staged) -> None:
        """Make changes of any shelves durable, all or none; on an error memory is as before."""


class Snapshots(Protocol):
    """What images need of a storage driver (`storage.driver.StorageDriver`)."""

    def extract(self, parent: str | None) -> AbstractContextManager[Extraction]:
        """A new layer on top of a committed one."""

    def exists(self, key: str) -> bool:
        """Whether there is such a layer."""

    def usage(self, key: str) -> Usage:
        """What a layer takes."""

    def diff(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A layer's files as the tar that it is."""

    def remove(self, key: str) -> None:
        """Remove a layer."""

    def purge(self) -> None:
        """Delete from the disk what was removed."""

    def keys(self) -> Iterator[str]:
        """Every snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of transfers; counts are at one time, over all verbs."""

    downloads_max: int = DOWNLOADS_MAX
    uploads_max: int = UPLOADS_MAX
    attempts_max: int = ATTEMPTS_MAX
    reserve_bytes: int = RESERVE_BYTES


@dataclass(slots=True, kw_only=True)
class Library:
    """The images of one daemon. The verbs are functions over it, one verb one file; make one inside the event loop.

    Whoever changes what images or names there are says `index_is_stale`.
    """

    content: Content
    storage: Snapshots
    images: Shelf[Image]
    tags: Shelf[Tag]
    registries: Registries
    publish: Callable[[Event], None] = lambda _event: None
    limits: Limits = Limits()
    leases: Leases = field(default_factory=Leases)
    index_is_stale: asyncio.Event = field(default_factory=asyncio.Event)
    downloads: asyncio.Semaphore = field(init=False)
    uploads: asyncio.Semaphore = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make room for the transfers."""
        self.downloads = asyncio.Semaphore(self.limits.downloads_max)
        self.uploads = asyncio.Semaphore(self.limits.uploads_max)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="images")

    async def in_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a blocking call in one of the library's threads; a cancelled caller still waits for its end."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))
        return await _to_its_end(running, None)

    async def in_cancellable_thread(self, call: Callable[[threading.Event], R]) -> R:
        """The same for a long call, which is told by the event that its caller has gone."""
        cancelled = threading.Event()
        running = asyncio.get_running_loop().run_in_executor(self._threads, call, cancelled)
        return await _to_its_end(running, cancelled)

    def names_of(self, image_id: str) -> list[Tag]:
        """All names of an image, in the order of their spelling."""
        return sorted((tag for tag in self.tags.values() if tag.image_id == image_id), key=lambda tag: tag.reference)

    async def name(self, image_id: str, *references: Reference) -> None:
        """Point names at an image; durable on return, all or none."""
        await self.tags.commit(*self.stage_names(image_id, references))
        self.index_is_stale.set()

    def stage_names(self, image_id: str, references: Iterable[Reference]) -> list[Staged]:
        """The same, durable with a later commit."""
        names = [Tag(reference=str(one), image_id=image_id, tagged_ns=now_ns()) for one in references]
        return [self.tags.stage(tag.reference, tag) for tag in names]

    def announce(self, action: str, actor_id: str, name: str, image: Image | None) -> None:
        """Publish an event of type image, with the image's labels, as dockerd does."""
        labels = (image.config.labels or {}) if image else {}
        attributes = {**labels, "name": name}
        self.publish(Event(kind="image", action=action, actor_id=actor_id, attributes=attributes, time_ns=now_ns()))

    def wanted_blobs(self) -> set[str]:
        """The digests of all content that an image needs."""
        return {digest for image in self.images.values() for digest in blobs_of(image)}

    def wanted_layers(self) -> set[str]:
        """The chain ids of all layers that an image needs."""
        return {layer.chain_id for image in self.images.values() for layer in image.layers}

    async def close(self) -> None:
        """Close connections and end the threads."""
        await self.registries.close()
        await asyncio.to_thread(self._threads.shutdown)


def blobs_of(image: Image) -> Iterable[str]:
    """The digests of an image's content: manifest, configuration, layers."""
    yield image.id
    if image.manifest:
        yield image.manifest
    yield from (layer.blob for layer in image.layers if layer.blob)


async def _to_its_end(running: "asyncio.Future[R]", cancelled: threading.Event | None) -> R:
    """A thread cannot be stopped, and what it holds must not be taken from under it: wait, then be cancelled."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if cancelled is not None:
            cancelled.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: the cancellation is what is told
        raise
