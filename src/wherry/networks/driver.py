"""What the engine asks of the networks: a sandbox with endpoints for a container that starts, undone when it ends.

Terms are libnetwork's: a *sandbox* is a network namespace, an *endpoint* a container's place on one network.

An example
----------
>>> sandbox = await networks.join(request)        # namespace, veth, addresses, published ports: all there
>>> ...                                           # hand os.dup(sandbox.netns_fd) to the execution driver
>>> container = replace(container, attachment=sandbox.attachment)   # the ledger keeps what is attached
>>> await networks.leave(container.attachment)    # after its death; also after a crash, from the ledger alone
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from wherry.model.config import EndpointRequest
from wherry.model.finding import Finding
from wherry.model.network import Attachment, Network, PortRequest, PublishedPort


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """What a starting container wants. `endpoints` maps network names or ids to wishes; empty for network none.

    `name` is the container's, for messages. `hostname` names it in its own /etc/hosts. `sysctls` are net.* ones,
    written in the new namespace.
    """

    container_id: str
    name: str = ""
    hostname: str
    endpoints: dict[str, EndpointRequest]
    ports: tuple[PortRequest, ...] = ()
    mac_address: str = ""
    sysctls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A network namespace ready for a process. The caller owns and closes `netns_fd` and `reservations`.

    `reservations` are bound sockets that keep the published host ports ours; they live as long as the container.
    """

    netns_fd: int
    attachment: Attachment
    reservations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Ports that were published on a running container: what it is attached to now, and the ports that are new.

    The caller owns and closes `reservations`, as those of a `Sandbox`.
    """

    attachment: Attachment
    ports: tuple[PublishedPort, ...]
    reservations: tuple[int, ...]


class Networks(Protocol):
    """All networks of this daemon."""

    async def open(self, attached: Collection[Attachment]) -> None:
        """Make the kernel match: bridges, rules, and exactly the endpoints and ports of `attached`; sweep the rest."""

    async def close(self) -> None:
        """Let go of sockets and pools; what running containers use stays."""

    async def join(self, request: JoinRequest) -> Sandbox:
        """Make a sandbox. Raises NotFound (network), Conflict (address or port taken), InvalidParameter."""

    async def publish(self, attachment: Attachment, request: JoinRequest) -> Published:
        """Publish the request's ports besides, all or none. Raises EngineError in dockerd's words."""

    async def unpublish(self, attachment: Attachment, ports: Collection[PublishedPort]) -> Attachment:
        """Take back some of its ports; connections that are established go on. Safe to repeat."""

    async def leave(self, attachment: Attachment) -> None:
        """Undo a join. Safe to repeat."""

    def networks(self) -> list[Network]:
        """All networks: bridge, host and none are always there."""

    def find(self, name_or_id: str) -> Network:
        """By name, id, or unique id prefix, as dockerd resolves them. Raises NotFound `network X not found`."""

    def port_bindings_are_free(self, ports: Collection[PortRequest]) -> bool:
        """Whether the fixed host ports of `ports` are not taken by another container now."""

    def audit(self) -> list[Finding]:
        """Links, rules, addresses and ports that no container has, and what containers should have. Changes nothing."""

    def mend(self, finding: Finding) -> None:
        """Do what the remedy of one of these says. Raises NotFound, OSError."""

    @property
    def gateway(self) -> str:
        """The default bridge's own address, which `host-gateway` means; empty when there is none."""
