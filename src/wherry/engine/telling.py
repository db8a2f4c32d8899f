"""Events, with the attributes that dockerd gives them."""

from collections.abc import Sequence

from wherry.engine.engine import Engine
from wherry.model.clock import now_ns
from wherry.model.container import Container
from wherry.model.event import Event
from wherry.model.network import Network


def tell(engine: Engine, container: Container, action: str, **attributes: str) -> None:
    """Publish an event about a container, with its labels, image and name."""
    about = {**(container.config.labels or {}), "image": container.config.image, "name": container.name}
    _publish(engine, "container", action, container.id, {**about, **attributes})


def tell_networks(engine: Engine, container: Container, action: str) -> None:
    """Publish that a container came to or left each of its networks."""
    for endpoint in container.attachment.endpoints if container.attachment else ():
        tell_network(engine, container, action, engine.networks.find(endpoint.network_id))


def tell_network(engine: Engine, container: Container, action: str, network: Network) -> None:
    """Publish that a container came to or left a network."""
    attributes = {"container": container.id, "name": network.name, "type": network.driver}
    _publish(engine, "network", action, network.id, attributes)


def tell_image(engine: Engine, action: str, image_id: str, name: str) -> None:
    """Publish an event about an image; `name` is what the user called it."""
    _publish(engine, "image", action, image_id, {"name": name})


def tell_exec(engine: Engine, container: Container, action: str, command: Sequence[str], exec_id: str) -> None:
    """Publish an event about an exec; dockerd joins its program and its arguments, of which there may be none."""
    program, *arguments = command or ("",)
    tell(engine, container, f"{action}: {program} {' '.join(arguments)}", execID=exec_id)


def tell_volume(engine: Engine, action: str, name: str, **attributes: str) -> None:
    """Publish an event about a volume."""
    _publish(engine, "volume", action, name, attributes)


def tell_daemon(engine: Engine, action: str, daemon_id: str, attributes: dict[str, str]) -> None:
    """Publish an event about the daemon itself."""
    _publish(engine, "daemon", action, daemon_id, attributes)


def tell_prune(engine: Engine, kind: str, freed: int) -> None:
    """Publish that what nobody used of a kind is gone, and how many bytes that gave."""
    _publish(engine, kind, "prune", "", {"reclaimed": str(freed)})


def _publish(engine: Engine, kind: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
    engine.bus.publish(Event(kind=kind, action=action, actor_id=actor_id, attributes=attributes, time_ns=now_ns()))
