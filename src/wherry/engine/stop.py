"""`POST /containers/{id}/stop`: a signal, patience, then SIGKILL."""

import asyncio
import signal

from wherry.crashpoints import crash_point
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.kill import deliver
from wherry.engine.request.signals import DEFAULT_STOP_SIGNAL, parse_signal
from wherry.engine.telling import tell
from wherry.engine.wait import ended
from wherry.engine.wording import told
from wherry.model.container import Container
from wherry.model.errors import NotModified
from wherry.model.state import Status

PATIENCE_SECONDS = 10
FOREVER = -1


async def stop(engine: Engine, name: str, *, signal_name: str = "", timeout_seconds: int | None = None) -> None:
    """Stop a container and wait for its end. Raises NotFound; NotModified when it does not run."""
    container = find(engine, name)
    if not container.state.is_alive and container.state.status is not Status.RESTARTING:
        raise NotModified(f"container {container.id} is not running")
    with told(f"cannot stop container: {name}"):
        number = stop_signal(container, signal_name)
    await halt(engine, container, number, timeout_seconds=timeout_seconds)
    crash_point("stop.ended")
    tell(engine, container, "stop")


async def halt(engine: Engine, container: Container, number: int, *, timeout_seconds: int | None = None) -> None:
    """Bring a running or restarting container to its end by a signal, whatever its restart policy says."""
    await deliver(engine, container, number)
    patience = _patience(container, timeout_seconds)
    try:
        async with asyncio.timeout(None if patience == FOREVER else patience):
            await ended(engine, container.id)
    except TimeoutError:
        crash_point("stop.impatient")
        await deliver(engine, container, signal.SIGKILL)
        await ended(engine, container.id)


def stop_signal(container: Container, signal_name: str = "") -> int:
    """The signal that asks a container to end: the one said, its own, SIGTERM. Raises InvalidParameter."""
    text = signal_name or container.config.stop_signal
    return parse_signal(text) if text else DEFAULT_STOP_SIGNAL


def _patience(container: Container, timeout_seconds: int | None) -> int:
    if timeout_seconds is not None:
        return max(timeout_seconds, FOREVER)
    return PATIENCE_SECONDS if container.config.stop_timeout is None else container.config.stop_timeout
