"""Which networks there are, and which one is meant: `bridge`, `host` and `none` with ids that never change."""

from typing import Protocol

from wherry.model.clock import now_ns
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.ids import new_id
from wherry.model.network import Network

BRIDGE = "bridge"
HOST = "host"
NONE = "none"
# Network name to driver name (moby daemon/network).
PREDEFINED = {BRIDGE: "bridge", HOST: "host", NONE: "null"}


class NetworkRecords(Protocol):
    """The ledger's shelf of networks, by id."""

    def get(self, key: str) -> Network | None:
        """The record, or None."""

    def values(self) -> list[Network]:
        """All records."""

    async def put(self, key: str, record: Network) -> None:
        """Write a record; durable on return."""

    async def remove(self, key: str) -> None:
        """Remove a record; a missing one is fine."""


class Catalogue:
    """The networks of this daemon. One that is `hidden` keeps its record, and its id, until it is wanted again."""

    def __init__(self, records: NetworkRecords, *, hidden: frozenset[str] = frozenset()) -> None:
        """Over the ledger's records; call `open` first."""
        self._records = records
        self._hidden = hidden

    async def open(self) -> None:
        """Make the predefined ones that are missing."""
        present = {network.name for network in self._records.values()}
        for name, driver in PREDEFINED.items():
            if name not in present:
                await self.put(Network(id=new_id(), name=name, driver=driver, created_ns=now_ns()))

    async def put(self, network: Network) -> None:
        """Write a network that is new or has changed."""
        if self._records.get(network.id) != network:
            await self._records.put(network.id, network)

    def networks(self) -> list[Network]:
        """All of them."""
        return [network for network in self._records.values() if network.name not in self._hidden]

    def find(self, name_or_id: str) -> Network:
        """By id, by name, by unique id prefix, in dockerd's order. Raises NotFound, InvalidParameter."""
        networks = self.networks()
        for network in networks:
            if network.id == name_or_id:
                return network
        for network in networks:
            if network.name == name_or_id:
                return network
        matches = [network for network in networks if name_or_id and network.id.startswith(name_or_id)]
        if len(matches) > 1:
            raise InvalidParameter(
                f"network {name_or_id} is ambiguous ({len(matches)} matches found based on ID prefix)"
            )
        if not matches:
            raise NotFound(f"network {name_or_id} not found")
        return matches[0]
