"""`POST /containers/{id}/resize`."""

from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.telling import tell
from wherry.model.errors import Conflict


async def resize(engine: Engine, name: str, *, height: int, width: int) -> None:
    """Set the size of a running container's terminal. Raises NotFound, Conflict."""
    container = find(engine, name)
    process = engine.live_of(container.id).process
    if process is None:
        raise Conflict(f"container {container.id} is not running")
    await process.resize(height=height, width=width)
    tell(engine, container, "resize", height=str(height), width=str(width))
