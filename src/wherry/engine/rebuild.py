"""What a failing power took of recorded containers is made again, empty: nothing in it had ever been on the disk."""

import asyncio
import logging

from wherry.engine.create import DIRECTORY_MODE
from wherry.engine.engine import Engine
from wherry.engine.snapshots import prepare_own, with_views
from wherry.model.container import Container
from wherry.model.errors import EngineError

log = logging.getLogger(__name__)


async def rebuild(engine: Engine) -> None:
    """Give every container its directory and its snapshot. What cannot be made is logged: its start will tell too.

    A record is durable when `create` answers, but directories follow with the file system's next own commit, since
    waiting for them would cost each create more than all else that it does.
    """
    for container in engine.containers.values():
        try:
            lost = await asyncio.to_thread(_rebuild, engine, container)
        except (EngineError, OSError) as error:
            log.warning("what container %s needs is gone: %s", container.id, error)
            continue
        for what in lost:
            log.warning("the %s of container %s was lost, and is empty now", what, container.id)


def _rebuild(engine: Engine, container: Container) -> list[str]:
    lost = []
    directory = engine.directory(container.id)
    if not directory.is_dir():
        directory.mkdir(mode=DIRECTORY_MODE, parents=True)
        lost.append("directory")
    if not engine.storage.exists(container.id):
        prepare_own(engine, container)
        lost.append("snapshot")
    for key, parent in with_views(engine, container)[1].items():
        if not engine.storage.exists(key):
            engine.storage.prepare(key, parent)
    return lost
