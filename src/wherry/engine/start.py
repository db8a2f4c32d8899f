"""`POST /containers/{id}/start`."""

from contextlib import suppress

from msgspec.structs import replace

from wherry.drivers.driver import StartFailed
from wherry.engine.bring_up import bring_up
from wherry.engine.containers import find
from wherry.engine.discard import discard
from wherry.engine.engine import Engine, Live
from wherry.engine.supervise import watch
from wherry.engine.telling import tell, tell_networks
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, NotModified
from wherry.model.state import Status

EXIT_CODE_OF_FAILURE = 128
_DOOMED = "container is marked for removal and cannot be started"


async def start(engine: Engine, name: str) -> None:
    """Start a container that does not run. Raises NotModified when it does, Conflict, StartFailed."""
    container = find(engine, name)
    live = engine.live_of(container.id)
    failure: EngineError | OSError | None = None
    async with live.lock:
        container = find(engine, container.id)
        _check(container, live)
        live.stop_wanted.clear()
        try:
            container = await bring_up(engine, _counted_anew(container), live)
        except (EngineError, OSError) as error:
            await _note_failure(engine, container, error)
            failure = error
        else:
            assert live.process is not None
            watch(engine, container.id, live.process)
    if failure is not None:
        await _clear_away(engine, container)
        raise failure
    tell_networks(engine, container, "connect")
    tell(engine, container, "start")


def _counted_anew(container: Container) -> Container:
    """Who starts it by hand gives it all the tries of its restart policy (moby ResetRestartManager)."""
    if not container.state.restart_count:
        return container
    return replace(container, state=replace(container.state, restart_count=0))


def _check(container: Container, live: Live) -> None:
    if live.doomed and not container.state.is_alive:
        # It was killed in order to be removed, which comes next.
        raise Conflict(_DOOMED)
    match container.state.status:
        case Status.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        case Status.RUNNING | Status.RESTARTING:
            raise NotModified(f"container {container.id} is already running")
        case Status.REMOVING | Status.DEAD:
            raise Conflict(_DOOMED)
        case _:
            return


async def _note_failure(engine: Engine, container: Container, error: EngineError | OSError) -> None:
    """What a failed start leaves in the record: its words and its code."""
    engine.live_of(container.id).close_sessions()
    code = error.exit_code if isinstance(error, StartFailed) else EXIT_CODE_OF_FAILURE
    words = str(error)
    await engine.change(
        container.id,
        lambda current: replace(current, state=replace(current.state, exit_code=code, error=words)),
    )


async def _clear_away(engine: Engine, container: Container) -> None:
    """With `--rm` nothing is left of a container that could not be started."""
    if container.host_config.auto_remove:
        with suppress(Conflict):  # somebody else removes it already
            await discard(engine, container.id, volumes=True)
