"""Links: one container known to another by an alias, in its environment and its /etc/hosts.

They are of Docker's first days, work on the default bridge alone, and are served as dockerd 28.5 does, with one
difference: an exec in a container whose link's target has ended goes on without that link's variables.
"""

import asyncio
import logging
import os
from pathlib import Path
from posixpath import join

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.engine.containers import by_name, find
from wherry.engine.engine import Engine
from wherry.engine.request.links import link_environment, parse_link
from wherry.model.config import HostConfig
from wherry.model.container import Container, Link
from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.networks.files import with_address

BRIDGE = "bridge"

log = logging.getLogger(__name__)
_CONTAINER = "container:"


def resolve_links(engine: Engine, host_config: HostConfig) -> tuple[Link, ...]:
    """The containers that a new one's links mean, each alias once. Raises InvalidParameter."""
    found: dict[str, Link] = {}
    for text in host_config.links or ():
        name, alias = parse_link(text)
        target = _target(engine, name)
        if alias:
            link = Link(alias=alias.strip("/"), target_id=target.id, target_name=target.name)
            found.setdefault(link.alias, link)
    return tuple(found.values())


def _target(engine: Engine, name: str) -> Container:
    """The container itself, or the one whose network it has."""
    while True:
        try:
            target = find(engine, name)
        except (NotFound, InvalidParameter) as error:
            words = str(error) if name else 'invalid name or ID supplied: ""'
            raise InvalidParameter(f"could not get container for {name}: {words}") from None
        mode = target.host_config.network_mode
        if mode == "host":
            raise InvalidParameter(
                "conflicting options: host type networking can't be used with links. "
                "This would result in undefined behavior"
            )
        if not mode.startswith(_CONTAINER):
            return target
        name = mode.removeprefix(_CONTAINER)


def warnings_of_links(engine: Engine, container: Container) -> tuple[str, ...]:
    """What a link does not do here: with --icc=false dockerd lets the two talk all the same."""
    if not container.links or engine.settings.bridge.between_containers:
        return ()
    return ("Links are names only: the daemon's --icc=false keeps linked containers from reaching one another",)


def links_in_force(engine: Engine, container: Container) -> dict[str, Container]:
    """The running containers that a container on the default bridge is linked to, by the links' whole names."""
    if container.host_config.network_mode != BRIDGE:
        return {}
    targets = ((full_name(container, link), engine.containers.get(link.target_id)) for link in container.links)
    return {name: target for name, target in targets if target is not None and target.state.is_alive}


def check_links(engine: Engine, container: Container) -> None:
    """Raise EngineError for a link to a container that does not run, or that is not on the default bridge."""
    running = links_in_force(engine, container)
    for link in container.links if container.host_config.network_mode == BRIDGE else ():
        name = full_name(container, link)
        if name not in running:
            raise EngineError(f"Cannot link to a non running container: /{target_name(engine, link)} AS {name}")
        if not address_of(running[name]):
            raise EngineError(f"container {link.target_id} not attached to default bridge network")


def environment_of(engine: Engine, container: Container) -> tuple[str, ...]:
    """The variables of all its links."""
    return tuple(
        entry
        for name, target in links_in_force(engine, container).items()
        for entry in link_environment(
            name,
            address_of(target),
            environment=target.config.env or (),
            exposed=target.config.exposed_ports or (),
        )
    )


def hosts_of(engine: Engine, container: Container) -> list[tuple[str, str]]:
    """Address and names for its /etc/hosts: alias, host name, and the container's own name."""
    found = []
    for name, target in links_in_force(engine, container).items():
        alias = name.rpartition("/")[2]
        names = [alias, target.config.hostname, *([target.name] if target.name != alias else [])]
        found.append((address_of(target), " ".join(names)))
    return found


def address_of(target: Container) -> str:
    """Its address on the default bridge, empty when it has none."""
    endpoints = target.attachment.endpoints if target.attachment else ()
    return next((one.ip_address for one in endpoints if one.network_name == BRIDGE), "")


def full_name(container: Container, link: Link) -> str:
    """`/me/db`: how a link is called."""
    return join("/", container.name, link.alias)


def target_name(engine: Engine, link: Link) -> str:
    """The linked container's name; the last one known of a container that was removed."""
    target = engine.containers.get(link.target_id)
    return target.name if target else link.target_name


def links_shown(engine: Engine, container: Container) -> tuple[str, ...]:
    """As inspect shows them: `/db:/me/alias`."""
    return tuple(f"/{target_name(engine, link)}:{full_name(container, link)}" for link in container.links)


def link_names(engine: Engine) -> dict[str, list[str]]:
    """By container, the names that links give it."""
    found: dict[str, list[str]] = {}
    for container in engine.containers.values():
        for link in container.links:
            found.setdefault(link.target_id, []).append(full_name(container, link))
    return found


async def announce_address(engine: Engine, target: Container) -> None:
    """A container has started, maybe with another address: those that are linked to it read so in /etc/hosts."""
    for container in engine.containers.values():
        if any(link.target_id == target.id for link in container.links):
            await _note(engine, container)


async def announce_addresses(engine: Engine) -> None:
    """The same of all, for a daemon that begins: the last one may have been cut short."""
    for container in engine.containers.values():
        if container.links:
            await _note(engine, container)


async def _note(engine: Engine, container: Container) -> None:
    if container.state.is_alive:
        path = engine.directory(container.id) / "hosts"
        try:
            await asyncio.to_thread(_write_addresses, path, hosts_of(engine, container))
        except OSError:
            # What has started has started; the name leads nowhere until the next start.
            log.exception("%s could not be brought up to date", path)


def _write_addresses(path: Path, wanted: list[tuple[str, str]]) -> None:
    """Into the very file that the container has mounted; lines of others stay."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with open(fd, "r+b") as file:
        old = file.read()
        new = old
        for address, names in wanted:
            new = with_address(new, address, names.partition(" ")[0])
        if new != old:
            file.seek(0)
            file.write(new)
            file.truncate()
            crash_point("links.hosts-written")


async def unlink(engine: Engine, name: str) -> None:
    """`docker rm --link`: remove a link by its whole name. Raises NotFound, InvalidParameter."""
    parent_name, _, alias = name.removeprefix("/").partition("/")
    find(engine, name)
    parent = by_name(engine, parent_name)
    if not alias or parent is None:
        raise InvalidParameter("Conflict, cannot remove the default link name of the container")
    gone = hosts_of(engine, replace(parent, links=tuple(link for link in parent.links if link.alias == alias)))
    await engine.change(
        parent.id, lambda now: replace(now, links=tuple(link for link in now.links if link.alias != alias))
    )
    crash_point("links.removed")
    if parent.state.is_alive:
        await asyncio.to_thread(_take_out, engine.directory(parent.id) / "hosts", [names for _, names in gone])


def _take_out(path: Path, names: list[str]) -> None:
    """The lines of links that are gone; a crash before this leaves a name too many until the next start."""
    with open(path, "r+b") as file:
        lines = file.read().splitlines(keepends=True)
        kept = [line for line in lines if line.partition(b"\t")[2].decode(errors="replace").strip() not in names]
        file.seek(0)
        file.writelines(kept)
        file.truncate()
