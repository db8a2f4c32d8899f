"""The verb on images that must know the containers: removing one."""

from collections import defaultdict

from wherry.engine.engine import Engine
from wherry.images.remove import Removed, User, remove


async def remove_image(engine: Engine, name: str, *, force: bool = False, prune_parents: bool = True) -> list[Removed]:
    """Remove a name or an image. Raises NotFound, Conflict (a container stands on it), InvalidParameter."""
    users = image_users(engine)
    return await remove(engine.library, name, users=users, force=force, prune_parents=prune_parents)


def image_users(engine: Engine) -> dict[str, list[User]]:
    """Ids of images, and the containers that stand on them."""
    users: dict[str, list[User]] = defaultdict(list)
    for container in engine.containers.values():
        users[container.image_id].append(User(id=container.id, is_running=container.state.is_alive))
    return users
