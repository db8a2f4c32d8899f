"""An update as a whole: what is Wherry's own of it, and Docker's limits and restart policy."""

from msgspec.structs import replace

from wherry.engine.engine import Engine
from wherry.engine.reconfigure import reconfigure
from wherry.engine.update import update
from wherry.model.config import ChangeRequest, UpdateRequest


async def change(engine: Engine, name: str, request: UpdateRequest) -> tuple[str, ...]:
    """Change a container and give warnings. Of both halves each is done wholly or not at all. Raises what they do."""
    wish = request.wherry if isinstance(request, ChangeRequest) else None
    if wish is None:
        return await update(engine, name, request)
    await reconfigure(engine, name, wish)
    limits = replace(request, wherry=None)
    return await update(engine, name, limits) if limits != ChangeRequest() else ()
