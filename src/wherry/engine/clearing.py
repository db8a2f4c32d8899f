"""What is left of removed containers, deleted after the answer; a crash leaves it to the sweep at start-up."""

import asyncio
import logging
import shutil
from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.engine.engine import Engine, Live
from wherry.engine.log_shipping import finish_shipping
from wherry.model.container import Container
from wherry.model.errors import EngineError

log = logging.getLogger(__name__)


def clear_away_soon(engine: Engine, container: Container, live: Live) -> None:
    """Delete a removed container's directories, and from the disk what storage took out of sight. One run at a time."""
    engine.uncleared.append((container, live))
    if engine.clearing is None or engine.clearing.done():
        engine.clearing = engine.background(_clear_all(engine), name="clear away")


async def _clear_all(engine: Engine) -> None:
    while engine.uncleared:
        gone, engine.uncleared = engine.uncleared, []
        await finish_shipping(live for _, live in gone)
        for container, live in gone:
            await live.forgotten()
            await _clear(engine, container)
        await asyncio.to_thread(engine.storage.purge)
        crash_point("remove.purged")


async def _clear(engine: Engine, container: Container) -> None:
    try:
        await engine.driver_of(container).forget(container.id)
        crash_point("remove.forgotten")
        await asyncio.to_thread(_remove, engine.directory(container.id))
        crash_point("remove.directory-removed")
    except (EngineError, OSError):
        log.exception("of the removed container %s something is left until the next start", container.id)


def _remove(directory: Path) -> None:
    """Remove a directory; twice, for what compresses its log may have begun a file meanwhile."""
    for _ in range(2):
        shutil.rmtree(directory, ignore_errors=True)
