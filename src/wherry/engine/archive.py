"""`/containers/{id}/archive`: looking at a path, taking a tar out, putting one in."""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from wherry.crashpoints import crash_point
from wherry.engine.containers import find
from wherry.engine.conversation import Conversation, listening, until_sent_away
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.engine.unwrapping import Body, feed
from wherry.engine.visiting import Visited, visiting
from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.storage.jobs.report import REFUSED
from wherry.storage.lookup import resolve_user
from wherry.storage.paths import Found
from wherry.storage.visits import hand_over, start_look, start_put, start_take
from wherry.storage.worker import WorkerFailed

# Is told what stands there, and gives the connection that the tar goes to, and whether as chunks of HTTP.
Receive = Callable[[Found], Awaitable[tuple[socket.socket, bool]]]

log = logging.getLogger(__name__)


async def look(engine: Engine, name: str, path: str) -> Found:
    """What stands at a path. Raises NotFound, Conflict, InvalidParameter, EngineError in dockerd's words."""
    _check(path)
    with _words(name, path):
        async with visiting(engine, name, only_reads=True) as visited:
            worker = await asyncio.to_thread(start_look, visited.view, path)
            async with listening(worker) as conversation:
                return await until_sent_away(visited.visit, conversation.found())


async def take(engine: Engine, name: str, path: str, receive: Receive) -> None:
    """Write what stands at a path as a tar to what `receive` gives. Raises as `look`, only before `receive` is called.

    A tar that breaks off has no end, nor a last chunk.
    """
    _check(path)
    with _words(name, path):
        async with visiting(engine, name, only_reads=True) as visited:
            await pour(engine, visited, path, receive, "archive-path")


async def pour(engine: Engine, visited: Visited, path: str, receive: Receive, event: str) -> None:
    """A visit from whose view a tar goes to a client. Raises WorkerFailed, Conflict before `receive` is called."""
    worker, control = await asyncio.to_thread(start_take, visited.view, path)
    with control:
        async with listening(worker) as conversation:
            found = await until_sent_away(visited.visit, conversation.found())
            client, chunked = await receive(found)
            tell(engine, visited.container, event)
            with client:
                hand_over(control, client.fileno(), chunked=chunked)
                await until_sent_away(visited.visit, _end(conversation))


async def put(
    engine: Engine,
    name: str,
    path: str,
    body: Body,
    *,
    same_kind: bool = False,
    as_user: bool = False,
) -> None:
    """Unpack a tar, plain or compressed, into a directory of a container.

    `same_kind` refuses to replace a directory by something else or the reverse; with `as_user` all belongs to the user
    that the container names, if it does. Raises NotFound, Conflict, InvalidParameter, EngineError in dockerd's words.
    """
    _check(path)
    # As with dockerd one tar goes in after the other: two would be in each other's way.
    with _words(name, path):
        container_id = find(engine, name).id
        async with engine.live_of(container_id).putting, visiting(engine, container_id) as visited:
            await _put(visited, path, body, same_kind=same_kind, as_user=as_user)
    crash_point("archive.put")
    tell(engine, visited.container, "extract-to-dir")


async def _put(visited: Visited, path: str, body: Body, *, same_kind: bool, as_user: bool) -> None:
    container = visited.container
    owner = await asyncio.to_thread(_owner, visited) if as_user and container.config.user else None
    worker, control = await asyncio.to_thread(
        start_put,
        visited.view,
        path,
        same_kind=same_kind,
        owner=owner,
        root_is_writable=not container.host_config.readonly_rootfs,
        points=[(point.destination, point.writable) for point in container.mounts],
    )
    crash_point("archive.put-begun")
    with control:
        async with listening(worker) as conversation:
            await until_sent_away(visited.visit, feed(control, body))
            control.close()
            await until_sent_away(visited.visit, conversation.part())


def _owner(visited: Visited) -> tuple[int, int]:
    user = resolve_user(visited.root, visited.container.config.user)
    return user.uid, user.gid


async def _end(conversation: Conversation) -> None:
    """Its last word; a client that has gone is as good as an end."""
    try:
        await conversation.part()
    except WorkerFailed as error:
        log.warning("a tar broke off: %s", error)


def _check(path: str) -> None:
    if not path:
        # As dockerd words it.
        raise InvalidParameter("bad parameter: pathcannot be empty")
    if "\0" in path:
        raise EngineError(f"lstat {path}: invalid argument")


@contextmanager
def _words(name: str, path: str) -> Iterator[None]:
    """What a worker reports, as dockerd says it."""
    try:
        yield
    except WorkerFailed as error:
        if error.number == errno.ENOENT:
            raise NotFound(f"Could not find the file {path} in container {name}") from None
        if error.number == REFUSED:
            raise InvalidParameter(str(error)) from None
        raise EngineError(str(error)) from None
