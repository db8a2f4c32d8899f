"""The networks of an engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.client import networks as calls
from wherry.python.blocking.api import Api
from wherry.python.filters import Filters, filters_of
from wherry.python.records.record import read, read_all
from wherry.python.records.system import NetworkInfo


class Networks:
    """Find networks; make, join and remove them where the engine serves that."""

    def __init__(self, api: Api) -> None:
        """The networks behind `api`."""
        self._api = api

    def list(self, *, filters: Filters | None = None) -> tuple[NetworkInfo, ...]:
        """All of them, or those that pass, such as `{"driver": "bridge"}`."""
        return read_all(NetworkInfo, self._api.ask(calls.listing(wanted=filters_of(filters))))

    def get(self, name: str) -> NetworkInfo:
        """All about one network. Raises NotFound."""
        return read(NetworkInfo, self._api.ask(calls.inspect(name)))

    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        internal: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        ipam: Mapping[str, Any] | None = None,
    ) -> NetworkInfo:
        """Make a network. Raises Conflict when the name is taken, Unsupported where this is not served."""
        body: dict[str, Any] = {"Name": name, "Driver": driver, "Internal": internal}
        body |= {"Labels": dict(labels or {}), "Options": dict(options or {})}
        if ipam is not None:
            body["IPAM"] = dict(ipam)
        return self.get(str((self._api.ask(calls.create(body)))["Id"]))

    def remove(self, name: str) -> None:
        """Remove it. Raises Denied when containers are on it, or when it is the engine's own."""
        self._api.ask(calls.remove(name))

    def connect(self, name: str, container: str, *, aliases: Sequence[str] = ()) -> None:
        """Join a container to it, by name or id."""
        self._api.ask(calls.connect(name, container=container, endpoint={"Aliases": [*aliases]}))

    def disconnect(self, name: str, container: str, *, force: bool = False) -> None:
        """Take a container out of it."""
        self._api.ask(calls.disconnect(name, container=container, force=force))
