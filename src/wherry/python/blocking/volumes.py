"""The volumes of an engine."""

from collections.abc import Mapping

from wherry.client import system
from wherry.client import volumes as calls
from wherry.python.blocking.api import Api
from wherry.python.filters import Filters, filters_of
from wherry.python.records.record import read, read_all
from wherry.python.records.system import Pruned, VolumeInfo


class Volumes:
    """Make, find and remove volumes."""

    def __init__(self, api: Api) -> None:
        """The volumes behind `api`."""
        self._api = api

    def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> VolumeInfo:
        """Make a volume, or find the one of this name; without a name it gets one."""
        body = {"Name": name, "Driver": driver, "Labels": dict(labels or {}), "DriverOpts": dict(options or {})}
        return read(VolumeInfo, self._api.ask(calls.create(body)))

    def get(self, name: str) -> VolumeInfo:
        """All about one volume. Raises NotFound."""
        return read(VolumeInfo, self._api.ask(calls.inspect(name)))

    def list(self, *, filters: Filters | None = None) -> tuple[VolumeInfo, ...]:
        """All of them, or those that pass, such as `{"dangling": True}`."""
        answer = self._api.ask(calls.listing(wanted=filters_of(filters)))
        return read_all(VolumeInfo, answer.get("Volumes"))

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove it. Raises Conflict when a container has it; NotFound unless `force`."""
        self._api.ask_patiently(calls.remove(name, force=force))

    def prune(self, *, filters: Filters | None = None) -> Pruned:
        """Remove anonymous ones that no container has; with `{"all": True}` named ones, too."""
        answer = self._api.ask_patiently(system.prune("volumes", wanted=filters_of(filters)))
        return Pruned(
            removed=tuple(answer.get("VolumesDeleted") or ()), space_reclaimed=answer.get("SpaceReclaimed", 0)
        )
