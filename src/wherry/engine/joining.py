"""A starting container's network: a sandbox of its own, the host's, another container's; whose namespaces it joins."""

import os
from dataclasses import dataclass

from msgspec.structs import replace

from wherry.engine.containers import find, running
from wherry.engine.engine import Engine
from wherry.engine.plan.namespaces import CONTAINER, joined_containers
from wherry.engine.request.ports import port_requests
from wherry.model.config import EndpointRequest, HostConfig
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.model.ids import new_id
from wherry.model.network import Attachment, Endpoint
from wherry.networks.driver import JoinRequest


@dataclass(slots=True, kw_only=True)
class Joined:
    """A network that was joined, and the descriptors of it that are still ours to close."""

    attachment: Attachment
    namespace_fd: int | None = None
    reservations: tuple[int, ...] = ()

    def hand_over_namespace(self) -> int | None:
        """The namespace's descriptor; the caller owns it from now on."""
        fd, self.namespace_fd = self.namespace_fd, None
        return fd

    def hand_over_reservations(self) -> tuple[int, ...]:
        """The sockets that hold the published ports; the caller owns them from now on."""
        fds, self.reservations = self.reservations, ()
        return fds

    def close(self) -> None:
        """Close what was not handed over."""
        namespace_fd = self.hand_over_namespace()
        for fd in (*self.hand_over_reservations(), *(() if namespace_fd is None else (namespace_fd,))):
            os.close(fd)


async def join(engine: Engine, container: Container) -> Joined:
    """Join what the network mode says. Raises NotFound, Conflict, InvalidParameter."""
    mode = container.host_config.network_mode
    if mode.startswith(CONTAINER):
        _check_namespace_owner(engine, container)
        return Joined(attachment=Attachment(sandbox_id=""))
    if mode == "host":
        return Joined(attachment=_host_attachment(engine))
    request = JoinRequest(
        container_id=container.id,
        name=container.name,
        hostname=container.config.hostname,
        endpoints=endpoint_requests(container),
        ports=port_requests(container.config, container.host_config),
        mac_address=container.config.mac_address,  # said so by an older record only
    )
    try:
        sandbox = await engine.networks.join(request)
    except NotFound as error:
        raise NotFound(f"failed to set up container networking: {error}") from None
    return Joined(attachment=sandbox.attachment, namespace_fd=sandbox.netns_fd, reservations=sandbox.reservations)


def endpoint_requests(container: Container) -> dict[str, EndpointRequest]:
    """The networks a container shall be on: the mode's, with what NetworkingConfig says of it."""
    mode = container.host_config.network_mode
    if container.config.network_disabled:
        return {}
    said = container.networking.endpoints_config or {}
    return {mode: said.get(mode) or said.get("default") or EndpointRequest()}


def owners_by_id(engine: Engine, host_config: HostConfig) -> HostConfig:
    """With ids for the names of containers whose namespaces are to be joined: an id outlives `rename`.

    Raises InvalidParameter for one that is not there; only when it starts does a container need its network.
    """
    return replace(
        host_config,
        pid_mode=_by_id(engine, host_config.pid_mode),
        ipc_mode=_by_id(engine, host_config.ipc_mode),
        network_mode=_by_id(engine, host_config.network_mode, may_come_later=True),
    )


def _by_id(engine: Engine, mode: str, *, may_come_later: bool = False) -> str:
    if not mode.startswith(CONTAINER):
        return mode
    try:
        return CONTAINER + find(engine, mode.removeprefix(CONTAINER)).id
    except NotFound as error:
        if may_come_later:
            return mode
        raise InvalidParameter(str(error)) from None


def owner_of_files(engine: Engine, container: Container) -> Container:
    """Whose hosts, hostname and resolv.conf a container has: the network may be another's. Raises NotFound."""
    seen = {container.id}
    while (name := joined_containers(container.host_config).get("network")) is not None:
        container = find(engine, name)
        if container.id in seen:
            raise NotFound(f"No such container: {name}")
        seen.add(container.id)
    return container


def namespace_paths(engine: Engine, container: Container) -> dict[str, str]:
    """Files of the namespaces that the container shares with other containers. Raises NotFound, Conflict."""
    names = {"network": "net"}
    return {
        kind: f"/proc/{_namespace_owner(engine, container, kind).state.pid}/ns/{names.get(kind, kind)}"
        for kind in joined_containers(container.host_config)
    }


def namespace_owner(engine: Engine, container: Container, kind: str) -> Container | None:
    """The running container whose namespace of that type is joined, None where the mode names none."""
    return _namespace_owner(engine, container, kind) if kind in joined_containers(container.host_config) else None


def _check_namespace_owner(engine: Engine, container: Container) -> None:
    """What dockerd finds wrong with `--network container:…` when it looks for the network, it says so of."""
    try:
        _namespace_owner(engine, container, "network")
    except NotFound as error:
        raise InvalidParameter(f"joining network namespace of container: {error}") from None


def _namespace_owner(engine: Engine, container: Container, kind: str) -> Container:
    name = joined_containers(container.host_config)[kind]
    try:
        owner = running(engine, name)
    except NotFound:
        raise NotFound(f"No such container: {name}") from None
    except Conflict as error:
        if kind == "network":
            owner = find(engine, name)
            words = f"container {owner.name} is {owner.state.status}"
            raise Conflict(f"cannot join network namespace of a non running container: {words}") from None
        raise Conflict(f"failed to join {kind.upper()} namespace: {error}") from None
    if owner.id == container.id:
        raise Conflict(f"cannot join own {kind} namespace")
    return owner


def _host_attachment(engine: Engine) -> Attachment:
    network = engine.networks.find("host")
    endpoint = Endpoint(id=new_id(), network_id=network.id, network_name=network.name)
    return Attachment(sandbox_id=new_id(), endpoints=(endpoint,))
