"""`GET /containers/{id}/export`: a container's whole file system, without its mounts."""

from wherry.engine.archive import Receive, pour
from wherry.engine.engine import Engine
from wherry.engine.visiting import visiting


async def export(engine: Engine, name: str, receive: Receive) -> None:
    """Write it as a tar to what `receive` gives. Raises NotFound, Conflict, EngineError before that is called."""
    async with visiting(engine, name, with_mounts=False, only_reads=True) as visited:
        await pour(engine, visited, "", receive, "export")
