"""A container's root file system, opened as a detached mount for the time of its birth."""

import asyncio
from contextlib import AsyncExitStack

from wherry.engine.engine import Engine
from wherry.model.container import Container


async def open_root(engine: Engine, container: Container, undo: AsyncExitStack) -> int:
    """The descriptor; closed when `undo` is. Raises NotFound, OSError."""
    opening = engine.storage.open(container.id)
    root = await asyncio.to_thread(opening.__enter__)
    undo.callback(opening.__exit__, None, None, None)
    return root.fd
