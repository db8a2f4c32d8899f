"""Volumes by name: their records, and the drivers that keep what they hold."""

import os
from asyncio import Lock, to_thread
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from wherry.crashpoints import crash_point
from wherry.model.clock import now_ns
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.finding import Finding
from wherry.model.ids import new_id
from wherry.model.volume import Volume
from wherry.volumes.audit import FORGOTTEN
from wherry.volumes.driver import VolumeDriver
from wherry.volumes.inside import open_subpath

DEFAULT_DRIVER = "local"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class VolumeRecords(Protocol):
    """Where the records of volumes are kept, by name; a change is durable when it was awaited."""

    def get(self, key: str) -> Volume | None:
        """The record, or None."""

    def values(self) -> Sequence[Volume]:
        """All of them."""

    async def put(self, key: str, record: Volume) -> None:
        """Write one."""

    async def remove(self, key: str) -> None:
        """Remove one."""


class Volumes:
    """The volumes of one engine. Its coroutines are called on one event loop; the blocking calls say so."""

    def __init__(
        self, records: VolumeRecords, drivers: Mapping[str, VolumeDriver], clock: Callable[[], int] = now_ns
    ) -> None:
        self._records = records
        self._drivers = drivers
        self._clock = clock
        self._lock = Lock()

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, durable on return; one of that name that is there already is given instead.

        Without a name it is anonymous: 64 hex digits and a label. Raises InvalidParameter, NotFound (no such driver)
        and Conflict (it is there with another driver), in dockerd's words.
        """
        is_anonymous = not name
        name = name or new_id()
        async with self._lock:
            existing = self._records.get(name)
            if existing is not None:
                return self._checked_driver(existing, driver)
            with _told("create", name):
                keeper = self._driver(driver or DEFAULT_DRIVER)
                keeper.check(name, options or {})
                await to_thread(keeper.create, name, options or {})
            crash_point("volume.made")
            volume = Volume(
                name=name,
                driver=keeper.name,
                mountpoint=keeper.mountpoint(name),
                created_ns=self._clock(),
                labels={**(labels or {}), ANONYMOUS_LABEL: ""} if is_anonymous else dict(labels) if labels else None,
                options=dict(options) if options else None,
                anonymous=is_anonymous,
            )
            await self._records.put(name, volume)
            crash_point("volume.recorded")
            return volume

    def inspect(self, name: str) -> Volume:
        """One volume. Raises NotFound."""
        volume = self._records.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def list(self) -> list[Volume]:
        """All volumes, by name."""
        return sorted(self._records.values(), key=lambda volume: volume.name)

    async def remove(self, name: str, *, users: Collection[str] = (), force: bool = False) -> Volume | None:
        """Remove a volume that no container uses; `users` are the ids of those that do.

        The data is deleted by `purge`, to be called after the answer. With `force` a missing one is fine (None).
        Raises NotFound, Conflict.
        """
        async with self._lock:
            volume = self._records.get(name)
            if volume is None:
                if force:
                    return None
                raise NotFound(f"get {name}: no such volume")
            if users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            with _told("remove", name):
                await to_thread(self._driver(volume.driver).remove, name)
            crash_point("volume.retired")
            await self._records.remove(name)
            crash_point("volume.removed")
            return volume

    async def purge(self) -> None:
        """Delete from the disk what `remove` took away, in a thread."""
        for driver in self._drivers.values():
            await to_thread(driver.purge)

    async def audit(self) -> Sequence[Finding]:
        """What is on the disk and no record knows, and the reverse. Changes nothing."""
        found: dict[str, Sequence[Finding]] = {}
        async with self._lock:
            for driver in self._drivers.values():
                own = {one.name: one.options or {} for one in self._records.values() if one.driver == driver.name}
                found[driver.name] = await to_thread(driver.audit, own)
        return [each for findings in found.values() for each in findings]

    async def mend(self, finding: Finding) -> None:
        """Do what the remedy of one of these says. Raises NotFound when it is known by now, EngineError, OSError."""
        if finding.kind == FORGOTTEN:
            await self.create(finding.name)
            return
        async with self._lock:
            if self._records.get(finding.name) is not None:
                raise NotFound(f"volume {finding.name} is recorded by now")
            await to_thread(self._driver(DEFAULT_DRIVER).mend, finding)

    async def usage(self, name: str) -> int:
        """Bytes of a volume's files, counted in a thread. Raises NotFound."""
        return await to_thread(self._driver(self.inspect(name).driver).usage, name)

    async def acquire(self, name: str, holder: str) -> Volume:
        """Have a volume usable for a container, mounted where its options say so. Raises NotFound, EngineError."""
        volume = self.inspect(name)
        await to_thread(self._driver(volume.driver).acquire, name, holder, volume.options or {})
        return volume

    async def release(self, name: str, holder: str) -> None:
        """A container is done with a volume. Raises NotFound, EngineError."""
        volume = self.inspect(name)
        await to_thread(self._driver(volume.driver).release, name, holder, volume.options or {})

    @contextmanager
    def open(self, name: str, subpath: str = "") -> Iterator[int]:
        """A volume's directory, or something below it, as an O_PATH descriptor for open_tree(2), `copy_up`, openat2(2).

        Raises NotFound, InvalidParameter for a subpath that leads out of the volume.
        """
        with self._driver(self.inspect(name).driver).open(name) as directory:
            fd = open_subpath(directory, subpath)
            try:
                yield fd
            finally:
                os.close(fd)

    def _driver(self, name: str) -> VolumeDriver:
        driver = self._drivers.get(name)
        if driver is None:
            raise NotFound(f'error looking up volume plugin {name}: plugin "{name}" not found')
        return driver

    def _checked_driver(self, volume: Volume, wanted: str) -> Volume:
        if wanted and wanted != volume.driver:
            with _told("create", volume.name):
                self._driver(wanted)
                words = f"driver '{volume.driver}' already has volume '{volume.name}': volume name must be unique"
                raise Conflict(words)
        return volume


@contextmanager
def _told(verb: str, name: str) -> Iterator[None]:
    """Put before an error what was being done, as dockerd's volume service does."""
    try:
        yield
    except EngineError as error:
        raise type(error)(f"{verb} {name}: {error}") from error
