"""`GET /containers/{id}/changes`: what a container changed of its image."""

import asyncio

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.state import Status

# The API's ChangeType.
KINDS = {"C": 0, "A": 1, "D": 2}


async def changes(engine: Engine, name: str) -> list[dict[str, str | int]] | None:
    """Each path and its kind, a directory before what is in it; None for none, as dockerd has it.

    Raises NotFound, Conflict for one that is being removed, EngineError.
    """
    container = find(engine, name)
    try:
        found = await asyncio.to_thread(lambda: list(engine.storage.changes(container.id)))
    except (OSError, EngineError) as error:
        _check_still_there(engine, container.id)
        if isinstance(error, NotFound):
            raise EngineError(f"the files of container {container.id} are gone") from None
        raise
    return [{"Path": path, "Kind": KINDS[kind]} for kind, path in found] or None


def _check_still_there(engine: Engine, container_id: str) -> None:
    """Who is removed meanwhile has no files any more. Raises NotFound, Conflict."""
    container = find(engine, container_id)
    if container.state.status in {Status.REMOVING, Status.DEAD}:
        raise Conflict(f"container {container_id} is marked for removal")
