"""`GET /containers/{id}/changes`: what a container changed of its image."""

import asyncio

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.model.errors import EngineError, NotFound

# The API's ChangeType.
KINDS = {"C": 0, "A": 1, "D": 2}


async def changes(engine: Engine, name: str) -> list[dict[str, str | int]] | None:
    """Each path and its kind, a directory before what is in it; None for none, as dockerd has it. Raises NotFound."""
    container = find(engine, name)
    try:
        found = await asyncio.to_thread(lambda: list(engine.storage.changes(container.id)))
    except NotFound:
        raise EngineError(f"the files of container {container.id} are gone") from None
    return [{"Path": path, "Kind": KINDS[kind]} for kind, path in found] or None
