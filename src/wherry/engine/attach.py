"""`POST /containers/{id}/attach`: a client's connection to a container's streams, before or while it runs."""

from wherry.drivers.driver import ProcessGone, Session
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.state import Status


def prepare(engine: Engine, name: str) -> Container:
    """The container, if it can be attached to now. Raises NotFound, Conflict."""
    container = find(engine, name)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"container {name} is paused, unpause the container before attach")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    return container


async def attach(engine: Engine, container_id: str, session: Session) -> None:
    """Hand a client's socket over: to the process, or to the start that is to come.

    The socket is the engine's from the call on. A container that has just ended closes it.
    """
    live = engine.live_of(container_id)
    container = engine.containers.get(container_id)
    if container is None:
        session.socket.close()
        return
    tell(engine, container, "attach")
    # Under the lock no process is being made, so a session is never put between a start and its clients.
    async with live.lock:
        if live.process is None:
            live.sessions.append(session)
            return
        try:
            await live.process.attach(session)
        except ProcessGone:
            session.socket.close()
