"""`POST /containers/{id}/attach`: a client's connection to a container's streams, before or while it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from wherry.drivers.driver import ProcessGone, Session
from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live
from wherry.engine.telling import tell
from wherry.model.clock import now_ns
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.ids import new_id
from wherry.model.state import Status


def prepare(engine: Engine, name: str) -> Container:
    """The container, if it can be attached to now. Raises NotFound, Conflict."""
    container = find(engine, name)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"container {name} is paused, unpause the container before attach")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    return container


Release = Callable[[], Awaitable[None]]


async def attach(engine: Engine, container_id: str, session: Session) -> int:
    """Hand a client's socket over: to the process, or to the start that is to come.

    The socket is the engine's from the call on. A container that has just ended closes it. For a session with a key
    the time, in ns since the epoch, up to which the log has what the client will not get.
    """
    until_ns, _ = await _attach(engine, container_id, session)
    return until_ns


async def attach_after_log(
    engine: Engine, container_id: str, session: Session, replay: Callable[[int], Awaitable[None]]
) -> None:
    """The same, when the client is first to get what was logged: no line is lost between the two, none comes twice.

    `replay` gives it the log up to a time. What comes meanwhile waits, and with it the process when it is much.
    """
    until_ns, release = await _attach(engine, container_id, replace(session, key=new_id()))
    try:
        await replay(until_ns)
    finally:
        await release()


async def _attach(engine: Engine, container_id: str, session: Session) -> tuple[int, Release]:
    live = engine.live_of(container_id)
    container = engine.containers.get(container_id)
    if container is None or not (session.stdin or session.stdout or session.stderr):
        session.socket.close()
        return now_ns(), _nothing
    tell(engine, container, "attach")
    # Under the lock no process is being made, so a session is never put between a start and its clients.
    async with live.lock:
        if live.process is None:
            live.sessions.append(session)
            return now_ns(), partial(_release_later, live, session)
        try:
            return await live.process.attach(session), partial(live.process.release, session.key)
        except ProcessGone:
            session.socket.close()
            return now_ns(), _nothing


async def _release_later(live: Live, session: Session) -> None:
    """When the start has not come yet, the session goes without its key; otherwise the process is told, dead or not."""
    async with live.lock:
        if session in live.sessions:
            live.sessions[live.sessions.index(session)] = replace(session, key="")
        holder = live.holders.pop(session.key, None)
    if holder is not None:
        await holder.release(session.key)


async def _nothing() -> None:
    """There is nobody to release."""
