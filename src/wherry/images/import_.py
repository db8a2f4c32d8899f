"""`docker import`: an image of one layer out of a tar of a file system."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from wherry.crashpoints import crash_point
from wherry.images.archive import spool
from wherry.images.changes import apply_changes
from wherry.images.create import Draft, StoredLayer, create, diff_id_of, store_layer
from wherry.images.garbage import blob_or_nothing
from wherry.images.library import Library
from wherry.images.naming import parse_wanted_platform
from wherry.images.progress import Progress, Report, ignore
from wherry.images.tag import new_name
from wherry.model.clock import now_ns, rfc3339
from wherry.model.config import Config
from wherry.model.errors import InvalidParameter
from wherry.model.image import Image

DEFAULT_MESSAGE = "Imported from -"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What shall become of the tar.

    `changes` are lines of a Dockerfile; `created` is RFC 3339 and now unless said; without `repository` the image has
    no name; without `platform` it is this machine's.
    """

    repository: str = ""
    tag: str = ""
    message: str = DEFAULT_MESSAGE
    changes: tuple[str, ...] = ()
    platform: str = ""
    created: str = ""


async def import_image(
    library: Library, body: AsyncIterator[bytes], request: ImportRequest, *, report: Report = ignore
) -> Image:
    """Make an image of a tar, plain or compressed by gzip, bzip2, xz or zstd. Raises InvalidParameter, EngineError."""
    name = new_name(request.repository, request.tag) if request.repository else None
    config = apply_changes(Config(), request.changes)
    target = parse_wanted_platform(request.platform)
    if target is not None and target.os != "linux":
        raise InvalidParameter("operating system is not supported")
    with await spool(library, body) as file:
        blob = await library.in_cancellable_thread(lambda cancelled: store_layer(library, file, cancelled))
    crash_point("import.blob-kept")
    async with blob_or_nothing(library, blob):
        diff_id = await library.in_cancellable_thread(lambda cancelled: diff_id_of(library, blob, cancelled))
        draft = Draft(
            config=config,
            created=request.created or rfc3339(now_ns()),
            layer=StoredLayer(blob=blob, diff_id=diff_id),
            comment=request.message,
            platform=target,
        )
        image = await create(library, draft, names=() if name is None else (name,))
    crash_point("import.registered")
    report(Progress(status=image.id))
    if name is not None:
        library.announce("tag", image.id, name.familiar, image)
    library.announce("import", image.id, image.id, image)
    return image


async def pieces(file: BinaryIO, *, size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    """A local file as a body."""
    while piece := file.read(size):
        yield piece
