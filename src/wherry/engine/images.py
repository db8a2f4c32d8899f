"""Verbs on images in the engine's words: finding one for a platform, saving, removing one that containers may use."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from wherry.engine.engine import Engine
from wherry.images.find import find
from wherry.images.naming import parse_wanted_platform
from wherry.images.remove import Removed, User, remove
from wherry.images.save import save
from wherry.model.errors import NotFound
from wherry.model.image import Image
from wherry.oci.image import Platform
from wherry.oci.platform import format_platform, matches


def find_image(engine: Engine, name: str, *, platform: str = "") -> Image:
    """The image, which must fit the platform if one is said. Raises NotFound, InvalidParameter."""
    wanted = parse_wanted_platform(platform)
    image = find(engine.library, name)
    actual = Platform(os=image.os, architecture=image.architecture, variant=image.variant)
    if wanted is not None and not matches(wanted, actual):
        said = platform.lower() if "/" in platform else f"{wanted.os}/{wanted.architecture}"
        raise NotFound(
            f"image with reference {name} was found but its platform ({format_platform(actual)}) "
            f"does not match the specified platform ({said})"
        )
    return image


async def save_images(engine: Engine, names: Sequence[str], *, platform: str = "") -> AsyncIterator[bytes]:
    """An archive of images. Raises NotFound with the name as the client wrote it, InvalidParameter."""
    try:
        return await save(engine.library, names, platform=platform)
    except NotFound as error:
        raise NotFound(_as_said(str(error), names)) from None


def _as_said(words: str, names: Sequence[str]) -> str:
    # A name without a tag stands for all its tags here, so dockerd does not say `:latest`.
    return next((f"No such image: {name}" for name in names if words == f"No such image: {name}:latest"), words)


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
