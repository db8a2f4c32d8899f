"""`POST /containers/{id}/restart`."""

import asyncio

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.start import start
from wherry.engine.stop import halt, stop_signal
from wherry.engine.telling import tell
from wherry.engine.wording import told
from wherry.model.container import Container
from wherry.model.state import Status


async def restart(engine: Engine, name: str, *, signal_name: str = "", timeout_seconds: int | None = None) -> None:
    """Stop a container if it runs, then start it. Raises what these raise, NotModified aside."""
    container = find(engine, name)
    if container.state.is_alive or container.state.status is Status.RESTARTING:
        with told(f"Cannot restart container {name}"):
            number = stop_signal(container, signal_name)
        await _halt_and_keep(engine, container, number, timeout_seconds)
    await start(engine, container.id)
    tell(engine, container, "restart")


async def _halt_and_keep(engine: Engine, container: Container, number: int, timeout_seconds: int | None) -> None:
    """Bring it to its end, but do not let `--rm` remove it (moby containerRestart)."""
    live = engine.live_of(container.id)
    live.keep = True
    try:
        await halt(engine, container, number, timeout_seconds=timeout_seconds)
        if live.supervisor is not None:
            await asyncio.wait([live.supervisor])
        tell(engine, container, "stop")
    finally:
        live.keep = False
