"""Other published ports, variables and mounts for a container that is there: what its record becomes."""

from msgspec.structs import replace

from wherry.engine.request.mounts import clean_destination, requested_mounts
from wherry.engine.request.ports import parse_port, port_requests
from wherry.model.config import Config, HostConfig, MountRequest, PortBinding, Reconfiguration
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.network import Attachment, PublishedPort
from wherry.model.volume import MountPoint

Bindings = dict[str, tuple[PortBinding, ...] | None]


def reconfigured(container: Container, wish: Reconfiguration) -> Container:
    """The record with its ports and variables changed; mounts are not resolved here. Raises InvalidParameter."""
    config, host_config = container.config, container.host_config
    port_requests(config, HostConfig(port_bindings=wish.publish))
    bindings = _without(host_config.port_bindings or {}, wish.unpublish or {})
    for port, more in (wish.publish or {}).items():
        name = _port_name(port)
        known = bindings.get(name) or ()
        bindings[name] = (*known, *(one for one in more or (PortBinding(),) if one not in known))
    exposed = {**(config.exposed_ports or {}), **{_port_name(port): {} for port in wish.publish or {}}}
    return replace(
        container,
        config=replace(config, env=_environment(config, wish), exposed_ports=exposed or None),
        host_config=replace(host_config, port_bindings=bindings or (host_config.port_bindings and {})),
    )


def ports_to_withdraw(
    ports: tuple[PublishedPort, ...], wish: Reconfiguration, *, before: Attachment | None
) -> list[PublishedPort]:
    """Those of the published ports that are not wanted any more; what was published just now stays."""
    known = before.ports if before else ()
    return [port for port in ports if port in known and _is_named(port, wish.unpublish or {})]


def new_mounts(container: Container, wish: Reconfiguration) -> tuple[MountPoint, ...]:
    """What is to be mounted besides, not resolved yet. Raises InvalidParameter, also for a place that is taken."""
    added = requested_mounts(Config(), HostConfig(mounts=wish.mounts))
    taken = {point.destination for point in _kept_mounts(container, wish)}
    for point in added:
        if point.destination in taken:
            raise InvalidParameter(f"Duplicate mount point: {point.destination}")
    return added


def with_mounts(container: Container, wish: Reconfiguration, added: tuple[MountPoint, ...]) -> Container:
    """The record with the mounts of its next start, and with what asked for them. Raises NotFound."""
    if not (wish.mounts or wish.mounts_remove):
        return container
    has, gone = container.host_config, _removed(wish)
    known = {point.destination for point in mounts_to_come(container)}
    for destination in sorted(gone - known):
        raise NotFound(f"container {container.name} has no mount at {destination}")
    host_config = replace(
        has,
        binds=tuple(bind for bind in has.binds or () if _bind_target(bind) not in gone) or None,
        mounts=(*(one for one in has.mounts or () if _target(one) not in gone), *(wish.mounts or ())) or None,
        tmpfs={path: said for path, said in (has.tmpfs or {}).items() if clean_destination(path) not in gone} or None,
    )
    declared = container.config.volumes or {}
    volumes = {path: said for path, said in declared.items() if clean_destination(path) not in gone} or None
    return replace(
        container,
        config=replace(container.config, volumes=volumes),
        host_config=host_config,
        next_mounts=(*_kept_mounts(container, wish), *added),
    )


def mounts_to_come(container: Container) -> tuple[MountPoint, ...]:
    """The mounts of a container's next start."""
    return container.mounts if container.next_mounts is None else container.next_mounts


def _kept_mounts(container: Container, wish: Reconfiguration) -> tuple[MountPoint, ...]:
    gone = _removed(wish)
    return tuple(point for point in mounts_to_come(container) if point.destination not in gone)


def _removed(wish: Reconfiguration) -> set[str]:
    return {clean_destination(path) for path in wish.mounts_remove or ()}


def _target(mount: MountRequest) -> str:
    return clean_destination(mount.target)


def _bind_target(bind: str) -> str:
    parts = bind.split(":")
    return clean_destination(parts[1] if len(parts) > 1 else parts[0])


def _environment(config: Config, wish: Reconfiguration) -> tuple[str, ...] | None:
    """The variables, each changed in its place, new ones last."""
    for entry in wish.env or ():
        if not entry.partition("=")[0] or "=" not in entry or "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry}")
    said = {entry.partition("=")[0]: entry for entry in wish.env or ()}
    gone = set(wish.env_remove or ()) - set(said)
    known = [entry for entry in config.env or () if entry.partition("=")[0] not in gone]
    kept = [said.pop(entry.partition("=")[0], entry) for entry in known]
    return (*kept, *said.values()) or None


def _without(bindings: Bindings, removed: Bindings) -> Bindings:
    found: Bindings = {}
    for port, said in bindings.items():
        number, protocol = parse_port(port)
        left = tuple(
            one
            for one in said or (PortBinding(),)
            if not _is_named(
                PublishedPort(
                    container_port=number,
                    protocol=protocol,
                    host_ip=one.host_ip,
                    host_port=int(one.host_port) if one.host_port.isdecimal() else 0,
                ),
                removed,
            )
        )
        if left:
            found[_port_name(port)] = left
    return found


def _is_named(port: PublishedPort, removed: Bindings) -> bool:
    """Whether a port is meant: by the container's port, and by the host's port and address where these are said."""
    for text, bindings in removed.items():
        if parse_port(text) != (port.container_port, port.protocol):
            continue
        if not bindings or any(
            one.host_port in {"", str(port.host_port)} and one.host_ip in {"", port.host_ip} for one in bindings
        ):
            return True
    return False


def _port_name(text: str) -> str:
    number, protocol = parse_port(text)
    return f"{number}/{protocol}"
