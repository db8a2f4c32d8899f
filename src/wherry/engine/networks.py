"""`GET /networks`: which there are, and who is on them."""

from wherry.engine.engine import Engine
from wherry.engine.request.filters import Filters
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.model.network import Endpoint, Network

ACCEPTED = ("dangling", "driver", "id", "label", "name", "scope", "type")
PREDEFINED = ("bridge", "host", "none")


def list_networks(engine: Engine, filters: dict[str, list[str]]) -> list[Network]:
    """The networks that match. Raises InvalidParameter for filters that do not exist."""
    wanted = Filters(filters, ACCEPTED)
    return [network for network in engine.networks.networks() if _matches(engine, wanted, network)]


def inspect_network(engine: Engine, name: str) -> tuple[Network, list[tuple[Container, Endpoint]]]:
    """A network and the running containers on it. Raises NotFound."""
    network = engine.networks.find(name)
    return network, members(engine, network)


def members(engine: Engine, network: Network) -> list[tuple[Container, Endpoint]]:
    """The running containers on a network, each with its place there."""
    return [
        (container, endpoint)
        for container in engine.containers.values()
        if container.attachment is not None
        for endpoint in container.attachment.endpoints
        if endpoint.network_id == network.id
    ]


def _matches(engine: Engine, wanted: Filters, network: Network) -> bool:
    return (
        wanted.matches("name", network.name)
        and wanted.matches("id", network.id)
        and wanted.has("driver", network.driver)
        and wanted.has("scope", network.scope)
        and wanted.labels(network.labels)
        and _type_matches(wanted, network)
        and _dangling_matches(engine, wanted, network)
    )


def _type_matches(wanted: Filters, network: Network) -> bool:
    for value in wanted.values("type"):
        if value not in {"builtin", "custom"}:
            raise InvalidParameter(f"invalid filter: 'type'='{value}'")
    return wanted.has("type", "builtin" if network.name in PREDEFINED else "custom")


def _dangling_matches(engine: Engine, wanted: Filters, network: Network) -> bool:
    try:
        dangling = wanted.truth("dangling")
    except InvalidParameter:
        words = 'must be "true" (or "1"), or "false" (or "0")'
        raise InvalidParameter(f"invalid value for filter 'dangling', {words}") from None
    if dangling is None:
        return True
    unused = network.name not in PREDEFINED and not members(engine, network)
    return unused is dangling
