"""Finding a container by what a client calls it."""

from wherry.engine.engine import Engine
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.model.state import Status


def find(engine: Engine, name: str) -> Container:
    """By full id, then by name, then by a prefix of an id that only one has. Raises NotFound, InvalidParameter."""
    if not name:
        raise InvalidParameter("No container name or ID supplied")
    exact = engine.containers.get(name) or by_name(engine, name.removeprefix("/")) or _by_link(engine, name)
    if exact is not None:
        return exact
    matching = [one for one in engine.containers.values() if one.id.startswith(name)]
    if len(matching) > 1:
        raise InvalidParameter(f"multiple IDs found with provided prefix: {name}")
    if not matching:
        raise NotFound(f"No such container: {name}")
    return matching[0]


def by_name(engine: Engine, name: str) -> Container | None:
    """The container of that name, without a leading slash."""
    return next((one for one in engine.containers.values() if one.name == name), None)


def _by_link(engine: Engine, name: str) -> Container | None:
    """The container that another is linked to, by `OTHER/ALIAS`."""
    parent_name, _, alias = name.removeprefix("/").partition("/")
    parent = by_name(engine, parent_name) if alias else None
    targets = (link.target_id for link in parent.links if link.alias == alias) if parent else ()
    return engine.containers.get(next(iter(targets), ""))


def running(engine: Engine, name: str) -> Container:
    """A container that runs and is not paused. Raises NotFound; Conflict with dockerd's words otherwise."""
    container = find(engine, name)
    match container.state.status:
        case Status.PAUSED:
            raise Conflict(f"Container {name} is paused, unpause the container before exec")
        case Status.RESTARTING:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        case Status.RUNNING:
            return container
        case _:
            raise Conflict(f"container {container.id} is not running")
