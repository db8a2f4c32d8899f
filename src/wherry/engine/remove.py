"""`DELETE /containers/{id}`."""

import signal

from wherry.crashpoints import crash_point
from wherry.engine.containers import find
from wherry.engine.discard import discard
from wherry.engine.engine import Engine
from wherry.engine.kill import deliver
from wherry.engine.links import unlink
from wherry.engine.wait import ended
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.state import Status

# How often a removal by force ends what somebody else starts meanwhile.
ATTEMPTS = 3


async def remove(engine: Engine, name: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
    """Remove a container, with `force` a running one too. Raises NotFound, Conflict."""
    container = find(engine, name)
    if link:
        await unlink(engine, name)
        return
    for _ in range(ATTEMPTS if force else 1):
        await _end_first(engine, container, name, force=force)
        try:
            await discard(engine, container.id, volumes=volumes)
        except Conflict:
            # Somebody was just starting it.
            container = find(engine, container.id)
            if not force or not container.state.is_alive:
                raise
        else:
            return
    raise Conflict(_words(container, name))


async def _end_first(engine: Engine, container: Container, name: str, *, force: bool) -> None:
    if container.state.status is Status.RESTARTING or container.state.is_alive:
        if not force:
            raise Conflict(_words(container, name))
        await _end(engine, container)
        crash_point("remove.ended")


def _words(container: Container, name: str) -> str:
    advice = (
        "is paused and must be unpaused first"
        if container.state.status is Status.PAUSED
        else f"is {container.state.status}: stop the container before removing or force remove"
    )
    return f'cannot remove container "{name}": container {advice}'


async def _end(engine: Engine, container: Container) -> None:
    live = engine.live_of(container.id)
    live.keep = live.doomed = True  # the caller removes it, not the supervisor of a `--rm` container
    try:
        if container.state.is_alive:
            await deliver(engine, container, signal.SIGKILL)
        live.stop_wanted.set()
        await ended(engine, container.id)
    except BaseException:
        live.keep = live.doomed = False
        raise
