"""From a layer's blob to a committed snapshot: decompressed here, applied in the driver's child, verified."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

from wherry.crashpoints import crash_point
from wherry.images.compression import Plain
from wherry.images.library import Library
from wherry.images.progress import Meter, Progress, Report
from wherry.model.errors import Conflict, EngineError, InvalidParameter
from wherry.model.ids import short_id
from wherry.model.image import Layer
from wherry.oci.digest import digest_of

LAYERS_MAX = 500
"""What overlayfs can stack (OVL_MAX_STACK in the kernel's fs/overlayfs/params.h); dockerd stops at 125."""


class LayerMismatch(EngineError):
    """A layer's bytes are not those that the image's configuration names; `found` is the digest of what they are."""

    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLayer:
    """A layer to be had: its blob in the content store, and its place in the stack; `parent` empty for the lowest."""

    blob: str
    diff_id: str
    chain_id: str
    parent: str

    @property
    def short(self) -> str:
        """How progress names it."""
        return short_id(self.blob)


def plan_layers(blobs: Iterable[str], diff_ids: Iterable[str]) -> list[PlannedLayer]:
    """The layers of a stack, lowest first, with their chain ids (image-spec config.md, "Layer ChainID").

    Raises InvalidParameter for more than can be stacked.
    """
    planned: list[PlannedLayer] = []
    parent = ""
    diff_ids = list(diff_ids)
    if len(diff_ids) > LAYERS_MAX:
        raise InvalidParameter("max depth exceeded")
    for blob, diff_id in zip(blobs, diff_ids, strict=True):
        chain_id = digest_of(f"{parent} {diff_id}".encode()) if parent else diff_id
        planned.append(PlannedLayer(blob=blob, diff_id=diff_id, chain_id=chain_id, parent=parent))
        parent = chain_id
    return planned


async def unpack(library: Library, planned: PlannedLayer, report: Report, *, status: str, short: str = "") -> Layer:
    """Have the layer as a committed snapshot; it may be there already. Raises LayerMismatch, InvalidParameter.

    The blob must be held by a lease, the parent committed.
    """
    async with library.leases.turn(planned.chain_id):
        size = await library.in_thread(_size_if_there, library, planned.chain_id)
        if size is None:
            total = library.content.size(planned.blob)
            meter = Meter(report, Progress(id=short or planned.short, status=status, total=total))
            size = await library.in_cancellable_thread(
                lambda cancelled: _extract(library, planned, meter.reach, cancelled)
            )
            meter.reach(total)
    crash_point("unpack.committed")
    return Layer(diff_id=planned.diff_id, chain_id=planned.chain_id, size_bytes=size, blob=planned.blob)


def _size_if_there(library: Library, chain_id: str) -> int | None:
    return library.storage.usage(chain_id).bytes if library.storage.exists(chain_id) else None


def _extract(
    library: Library, planned: PlannedLayer, on_input: Callable[[int], None], cancelled: threading.Event
) -> int:
    with library.content.open(planned.blob) as file, library.storage.extract(planned.parent or None) as extraction:
        reader = Plain(
            file,
            diff_id=planned.diff_id,
            directory=str(library.content.root),
            reserve_bytes=library.limits.reserve_bytes,
            cancelled=cancelled,
            on_input=on_input,
        )
        extraction.apply(cast("BinaryIO", reader))
        crash_point("unpack.applied")
        found = reader.drain()
        if found != planned.diff_id:
            mismatch = LayerMismatch("layers from manifest don't match image configuration")
            mismatch.found = found
            raise mismatch
        with suppress(Conflict):  # another daemon's start, or a crash after the commit: it is there, which is the aim
            return extraction.commit(planned.chain_id).bytes
    return library.storage.usage(planned.chain_id).bytes
