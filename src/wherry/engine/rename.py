"""`POST /containers/{id}/rename`."""

from contextlib import ExitStack

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.names import reserve
from wherry.engine.telling import tell
from wherry.engine.wording import told
from wherry.model.errors import InvalidParameter


async def rename(engine: Engine, name: str, *, new_name: str) -> None:
    """Give a container another name. Raises InvalidParameter, NotFound, Conflict."""
    if not name or not new_name:
        raise InvalidParameter("Neither old nor new names may be empty")
    container = find(engine, name)
    if container.name == new_name.removeprefix("/"):
        raise InvalidParameter("Renaming a container with the same name as its current name")
    wanted = f"/{new_name.removeprefix('/')}"
    with ExitStack() as held:
        with told("Error when allocating new name"):
            reserved = held.enter_context(reserve(engine, wanted, container_id=container.id))
        crash_point("rename.reserved")
        renamed = await engine.change(container.id, lambda current: replace(current, name=reserved))
    tell(engine, renamed, "rename", oldName=f"/{container.name}")
