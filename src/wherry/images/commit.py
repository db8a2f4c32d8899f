"""`docker commit`: an image of what a container changed, on top of the image that it was made of."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from wherry import __version__
from wherry.crashpoints import crash_point
from wherry.images.create import config_document
from wherry.images.derived import provide
from wherry.images.garbage import layers_or_nothing
from wherry.images.library import Library, blobs_of
from wherry.images.registering import keep
from wherry.images.unpacking import PlannedLayer, plan_layers
from wherry.model.config import Config
from wherry.model.errors import Conflict
from wherry.model.image import Image, Layer
from wherry.oci.digest import digest_of
from wherry.oci.image import History, ImageConfig, RootFs, encode
from wherry.oci.reference import Reference
from wherry.storage.driver import Capture, Usage

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
        if captured.diff_id == EMPTY_DIFF_ID:
            return await _keep(library, draft, parent.layers, {}, names)
        planned = _planned(parent, captured.diff_id)
        async with layers_or_nothing(library, [planned], blobs_too=True):
            layer = await _commit_layer(library, captured, planned)
            crash_point("commit.layer-committed")
            sizes = {layer.blob: captured.tar_bytes}
            return await _keep(library, draft, (*parent.layers, layer), sizes, names)


def _planned(parent: Image, diff_id: str) -> PlannedLayer:
    diff_ids = [*(layer.diff_id for layer in parent.layers), diff_id]
    return plan_layers(diff_ids, diff_ids)[-1]


async def _commit_layer(library: Library, captured: Capture, planned: PlannedLayer) -> Layer:
    async with library.leases.turn(planned.chain_id):
        usage = await library.in_thread(_publish, library, captured, planned.chain_id)
    return Layer(diff_id=planned.diff_id, chain_id=planned.chain_id, size_bytes=usage.bytes, blob=planned.blob)


def _publish(library: Library, captured: Capture, chain_id: str) -> Usage:
    try:
        return captured.commit(chain_id)
    except Conflict:  # somebody captured the same before
        return library.storage.usage(chain_id)


async def _keep(
    library: Library,
    draft: CommitDraft,
    layers: Sequence[Layer],
    sizes: dict[str, int],
    names: Sequence[Reference],
) -> Image:
    config = encode(_document(draft, layers))
    await provide(library, draft.parent.layers)  # how they are compressed is asked of their bytes
    return await keep(library, config, layers, to_come=sizes, parent=draft.parent.id, names=names)


def _document(draft: CommitDraft, layers: Sequence[Layer]) -> ImageConfig:
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
        empty_layer=len(layers) == len(parent.layers),
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
        rootfs=RootFs(diff_ids=tuple(layer.diff_id for layer in layers)),
        history=(*before, step),
    )
