"""`docker commit`: an image of what a container changed, on top of the image that it was made of."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TypeVar, cast

from wherry import __version__
from wherry.crashpoints import crash_point
from wherry.images.create import config_document
from wherry.images.derived import provide
from wherry.images.garbage import layers_or_nothing
from wherry.images.library import Library, blobs_of
from wherry.images.registering import Documents, keep_documents, register
from wherry.images.unpacking import PlannedLayer, plan_layers
from wherry.model.config import Config
from wherry.model.errors import Conflict
from wherry.model.image import Image, Layer
from wherry.oci.digest import digest_of
from wherry.oci.image import History, ImageConfig, RootFs, encode
from wherry.oci.reference import Reference
from wherry.storage.driver import Capture, Usage

S = TypeVar("S")
T = TypeVar("T")
# Of a tar without members: what changed nothing is no layer.
EMPTY_DIFF_ID = digest_of(bytes(1024))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitDraft:
    """What becomes of a container: `parent` is its image, `config` that of the new one, `created` RFC 3339."""

    parent: Image
    config: Config
    created: str
    created_by: str = ""
    author: str = ""
    comment: str = ""


async def commit(
    library: Library,
    capture: Callable[[], AbstractContextManager[Capture]],
    draft: CommitDraft,
    *,
    names: Sequence[Reference] = (),
) -> Image:
    """Capture the changes and make an image of them, durable but for content that follows from its layer.

    Raises InvalidParameter for a stack that is too high, EngineError.
    """
    parent = draft.parent
    with (
        library.leases.hold((*blobs_of(parent), *(layer.chain_id for layer in parent.layers))),
        ExitStack() as captures,
    ):
        captured = await library.in_thread(lambda: captures.enter_context(capture()))
        await provide(library, parent.layers)  # how they are compressed is asked of their bytes
        if captured.diff_id == EMPTY_DIFF_ID:
            documents = await library.in_thread(_keep_documents, library, draft)
            return await register(library, documents.image(parent.layers, parent.id), names)
        planned = _planned(parent, captured.diff_id)
        async with layers_or_nothing(library, [planned], blobs_too=True):
            # Each waits for the disk, and both together hardly longer.
            layer, documents = await _both(
                _commit_layer(library, captured, planned),
                library.in_thread(_keep_documents, library, draft, planned, captured.tar_bytes),
            )
            return await register(library, documents.image((*parent.layers, layer), parent.id), names)


def _planned(parent: Image, diff_id: str) -> PlannedLayer:
    diff_ids = [*(layer.diff_id for layer in parent.layers), diff_id]
    return plan_layers(diff_ids, diff_ids)[-1]


async def _commit_layer(library: Library, captured: Capture, planned: PlannedLayer) -> Layer:
    async with library.leases.turn(planned.chain_id):
        usage = await library.in_thread(_publish, library, captured, planned.chain_id)
    crash_point("commit.layer-committed")
    return Layer(diff_id=planned.diff_id, chain_id=planned.chain_id, size_bytes=usage.bytes, blob=planned.blob)


def _publish(library: Library, captured: Capture, chain_id: str) -> Usage:
    try:
        return captured.commit(chain_id)
    except Conflict:  # somebody captured the same before
        return library.storage.usage(chain_id)


def _keep_documents(
    library: Library, draft: CommitDraft, planned: PlannedLayer | None = None, tar_bytes: int = 0
) -> Documents:
    layers = (*draft.parent.layers, *([planned] if planned else ()))
    config = encode(_document(draft, [layer.diff_id for layer in layers]))
    to_come = {planned.blob: tar_bytes} if planned else {}
    return keep_documents(library, config, [layer.blob for layer in layers], to_come=to_come)


async def _both(first: Awaitable[S], second: Awaitable[T]) -> tuple[S, T]:
    """Their results when both have ended, also when one fails: what it left is cleared up by then."""
    ended = await asyncio.gather(first, second, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return cast("tuple[S, T]", ended)


def _document(draft: CommitDraft, diff_ids: Sequence[str]) -> ImageConfig:
    parent = draft.parent
    before = tuple(
        History(
            created=step.created or None,
            created_by=step.created_by,
            author=step.author,
            comment=step.comment,
            empty_layer=step.empty_layer,
        )
        for step in parent.history
    )
    step = History(
        created=draft.created,
        created_by=draft.created_by,
        author=draft.author,
        comment=draft.comment,
        empty_layer=len(diff_ids) == len(parent.layers),
    )
    return ImageConfig(
        architecture=parent.architecture,
        os=parent.os,
        variant=parent.variant,
        created=draft.created,
        author=draft.author,
        comment=draft.comment,
        docker_version=__version__,
        config=config_document(draft.config),
        rootfs=RootFs(diff_ids=tuple(diff_ids)),
        history=(*before, step),
    )
