"""The volumes of an engine."""

from collections.abc import Mapping

from wherry.client import system
from wherry.client import volumes as calls
from wherry.python.asynchronous.api import Api
from wherry.python.filters import Filters, filters_of
from wherry.python.records.record import read, read_all
from wherry.python.records.system import Pruned, VolumeInfo


class Volumes:
    """Make, find and remove volumes."""

    def __init__(self, api: Api) -> None:
        """The volumes behind `api`."""
        self._api = api

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> VolumeInfo:
        """Make a volume, or find the one of this name; without a name it gets one."""
        body = {"Name": name, "Driver": driver, "Labels": dict(labels or {}), "DriverOpts": dict(options or {})}
        return read(VolumeInfo, await self._api.ask(calls.create(body)))

    async def get(self, name: str) -> VolumeInfo:
        """All about one volume. Raises NotFound."""
        return read(VolumeInfo, await self._api.ask(calls.inspect(name)))

    async def list(self, *, filters: Filters | None = None) -> tuple[VolumeInfo, ...]:
        """All of them, or those that pass, such as `{"dangling": True}`."""
        answer = await self._api.ask(calls.listing(wanted=filters_of(filters)))
        return read_all(VolumeInfo, answer.get("Volumes"))

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove it. Raises Conflict when a container has it; NotFound unless `force`."""
        await self._api.ask_patiently(calls.remove(name, force=force))

    async def prune(self, *, filters: Filters | None = None) -> Pruned:
        """Remove anonymous ones that no container has; with `{"all": True}` named ones, too."""
        answer = await self._api.ask_patiently(system.prune("volumes", wanted=filters_of(filters)))
        return Pruned(
            removed=tuple(answer.get("VolumesDeleted") or ()), space_reclaimed=answer.get("SpaceReclaimed", 0)
        )
