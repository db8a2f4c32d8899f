"""The snapshots that belong to a container: its own, and its views of the images that are mounted into it."""

from msgspec.structs import replace

from wherry.engine.engine import Engine
from wherry.engine.images import find_image
from wherry.model.container import Container
from wherry.model.volume import MountPoint
from wherry.storage.initlayer import ensure_init_layer


def snapshots_of(container: Container) -> list[str]:
    """Their keys."""
    return [container.id, *(point.source for point in container.mounts if point.kind == "image")]


def with_views(engine: Engine, container: Container) -> tuple[Container, dict[str, str | None]]:
    """The container with a key for its view of each image, and the layers that each stands on.

    A view keeps the layers from being removed with their image's last name. Raises NotFound for an unknown image.
    """
    parents: dict[str, str | None] = {}
    points: list[MountPoint] = []
    for point in container.mounts:
        if point.kind != "image":
            points.append(point)
            continue
        key = f"{container.id}-image{len(parents)}"
        parents[key] = find_image(engine, point.name).chain_id or None
        points.append(replace(point, source=key))
    return replace(container, mounts=tuple(points)), parents


def prepare_own(engine: Engine, container: Container) -> None:
    """Make its own one, on the image's init layer. Raises EngineError, OSError."""
    below = ensure_init_layer(engine.storage, container.chain_id or None)
    engine.storage.prepare(container.id, below, container.host_config.storage_opt)


def wanted_snapshots(engine: Engine) -> set[str]:
    """All that containers and images need."""
    containers = engine.containers.values()
    own = {key for container in containers for key in snapshots_of(container)}
    inits = {f"{container.chain_id}-init" for container in containers}
    return own | inits | engine.library.wanted_layers()
