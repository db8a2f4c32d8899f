"""`POST /commit`: an image of a container as it is, frozen meanwhile unless that is not wished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live
from wherry.engine.request.merge import merge
from wherry.engine.telling import tell
from wherry.images.changes import apply_changes
from wherry.images.commit import CommitDraft
from wherry.images.commit import commit as commit_image
from wherry.images.derived import provide_later
from wherry.images.tag import new_name
from wherry.model.clock import now_ns, rfc3339
from wherry.model.config import Config
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.model.image import Image
from wherry.model.state import Status
from wherry.oci.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """What shall become of a container; without `repository` the image has no name, without `config` the container's.

    `changes` are lines of a Dockerfile.
    """

    repository: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: tuple[str, ...] = ()
    config: Config | None = field(default=None)


async def commit(engine: Engine, name: str, request: CommitRequest) -> str:
    """The id of the new image, durable on return. Raises NotFound, Conflict, InvalidParameter in dockerd's words."""
    if not name:
        raise InvalidParameter('invalid name or ID supplied: ""')
    target = new_name(request.repository, request.tag) if request.repository else None
    container_id = find(engine, name).id
    live = engine.live_of(container_id)
    async with live.lock:
        container = find(engine, container_id)  # the name may be another's by now
        _check_state(container)
        parent = engine.library.images.get(container.image_id)
        if parent is None:
            raise NotFound(f"No such image: {container.image_id}")
        config = apply_changes(request.config or container.config, request.changes)
        draft = CommitDraft(
            parent=parent,
            config=_without_nothing(merge(config, container.config)),
            created=rfc3339(now_ns()),
            created_by=" ".join(container.config.cmd or ()),
            author=request.author,
            comment=request.comment,
        )
        async with _frozen(engine, container, live, wanted=request.pause):
            image = await _commit(engine, container, draft, target)
    return image.id


def _without_nothing(config: Config) -> Config:
    """Empty labels are none, as an image's are shown."""
    return replace(config, labels=config.labels or None)


def _check_state(container: Container) -> None:
    if container.state.status is Status.DEAD:
        raise Conflict(f"You cannot commit container {container.id} which is Dead")
    if container.state.status is Status.REMOVING:
        raise Conflict(f"You cannot commit container {container.id} which is being removed")


async def _commit(engine: Engine, container: Container, draft: CommitDraft, target: Reference | None) -> Image:
    names = () if target is None else (target,)
    parent = container.chain_id or None
    image = await commit_image(engine.library, lambda: engine.storage.capture(container.id, parent), draft, names=names)
    crash_point("commit.registered")
    familiar = "" if target is None else target.familiar
    engine.library.announce("create", image.id, image.id, image)
    if familiar:
        engine.library.announce("tag", image.id, familiar, image)
    tell(engine, container, "commit", comment=draft.comment, imageID=image.id, imageRef=familiar)
    if image.layers:
        work = provide_later(engine.library, image.layers[-1])
        engine.background(work, name=f"write the content of {image.id}")
    return image


@asynccontextmanager
async def _frozen(engine: Engine, container: Container, live: Live, *, wanted: bool) -> AsyncIterator[None]:
    """Have nothing of the container run. Its record does not say so: should the daemon die, the next thaws it."""
    process = live.process
    if not wanted or process is None or container.state.status is not Status.RUNNING:
        yield
        return
    with suppress(ProcessGone):
        await process.pause()
        tell(engine, container, "pause")
    crash_point("commit.frozen")
    try:
        yield
    finally:
        with suppress(ProcessGone):
            await asyncio.shield(process.resume())
            tell(engine, container, "unpause")
