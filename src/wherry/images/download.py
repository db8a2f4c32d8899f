"""Blobs from a registry into the content store: resumed, retried, verified; two verbs never fetch one blob twice."""

from wherry.crashpoints import crash_point
from wherry.images.content import ContentMismatch, Ingest
from wherry.images.library import Library
from wherry.images.progress import Meter, Progress, Report
from wherry.model.ids import short_id
from wherry.oci.image import Descriptor
from wherry.registry.errors import Corrupt, Interrupted, RegistryError
from wherry.registry.repository import Download, Repository

WRITE_BYTES = 1024 * 1024
# dockerd waits five seconds longer after each failed attempt (moby distribution/xfer/download.go).
BACKOFF_SECONDS = 5


async def download(library: Library, repository: Repository, descriptor: Descriptor, report: Report) -> None:
    """Have a blob in the content store. Raises RegistryError, EngineError (a full disk), OSError.

    What arrived before a failure or a cancellation stays, and the next caller goes on from there.
    """
    short = short_id(descriptor.digest)
    if library.downloads.locked() or library.leases.is_busy(descriptor.digest):
        report(Progress(id=short, status="Waiting", has_detail=True))
    async with library.leases.turn(descriptor.digest), library.downloads:
        if not library.content.has(descriptor.digest):
            library.content.check_space(descriptor.size, reserve_bytes=library.limits.reserve_bytes)
            await _attempts(library, repository, descriptor, report)
    report(Progress(id=short, status="Download complete", has_detail=True))


async def _attempts(library: Library, repository: Repository, descriptor: Descriptor, report: Report) -> None:
    for attempt in range(1, library.limits.attempts_max):
        try:
            return await _attempt(library, repository, descriptor, report)
        except RegistryError as error:
            if error.is_final:
                raise
        await back_off(library, attempt, short_id(descriptor.digest), report)
    return await _attempt(library, repository, descriptor, report)


async def back_off(library: Library, attempt: int, short: str, report: Report) -> None:
    """Wait before the next attempt, telling each second."""
    for remaining in range(attempt * BACKOFF_SECONDS, 0, -1):
        plural = "s" if remaining > 1 else ""
        report(Progress(id=short, status=f"Retrying in {remaining} second{plural}", has_detail=True))
        await library.registries.clock.sleep(1)


async def _attempt(library: Library, repository: Repository, descriptor: Descriptor, report: Report) -> None:
    ingest = await library.in_thread(library.content.resume, descriptor.digest)
    with ingest:
        resumed_at = ingest.offset
        try:
            await _receive(library, repository, descriptor, ingest, report)
            report(Progress(id=short_id(descriptor.digest), status="Verifying Checksum", has_detail=True))
            crash_point("pull.received")
            await library.in_thread(ingest.commit)
            crash_point("pull.blob-committed")
        except ContentMismatch:
            words = f"filesystem layer verification failed for digest {descriptor.digest}"
            if resumed_at:
                # The older half may have been damaged by a power cut, so this says nothing of the registry yet.
                raise Interrupted(words) from None
            raise Corrupt(words) from None


async def _receive(
    library: Library, repository: Repository, descriptor: Descriptor, ingest: Ingest, report: Report
) -> None:
    """The bytes that are still missing. Raises Interrupted, Corrupt."""
    if ingest.offset > descriptor.size:
        ingest.restart()
    if ingest.offset == descriptor.size:
        return
    meter = Meter(report, Progress(id=short_id(descriptor.digest), status="Downloading", total=descriptor.size))
    async with repository.download(descriptor, offset=ingest.offset) as body:
        if body.offset == 0:
            ingest.restart()
        if body.offset != ingest.offset:
            raise Interrupted("the registry sent another range than was asked for")
        await _write_all(library, body, descriptor, ingest, meter)
    meter.reach(ingest.offset)
    if ingest.offset != descriptor.size:
        raise Interrupted("unexpected EOF")


async def _write_all(library: Library, body: Download, descriptor: Descriptor, ingest: Ingest, meter: Meter) -> None:
    """Write a body in large pieces. What arrived before it broke off is written too."""
    waiting = bytearray()
    try:
        async for chunk in body.chunks():
            waiting += chunk
            if ingest.offset + len(waiting) > descriptor.size:
                waiting.clear()
                ingest.discard()
                raise Corrupt(f"{descriptor.digest} is larger than the {descriptor.size} bytes that its manifest says")
            if len(waiting) >= WRITE_BYTES:
                piece = bytes(waiting)
                waiting.clear()
                await library.in_thread(ingest.write, piece)
                meter.reach(ingest.offset)
    finally:
        if waiting:
            ingest.write(bytes(waiting))
