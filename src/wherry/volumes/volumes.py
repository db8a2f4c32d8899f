"""Volumes by name: their records, and the drivers that keep what they hold."""

import os
from asyncio import Lock, to_thread
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from wherry.crashpoints import crash_point
from wherry.model.clock import now_ns
from wherry.model.errors import Conflict, EngineError, NotFound
from wherry.model.finding import Finding
from wherry.model.ids import new_id
from wherry.model.volume import Volume
from wherry.records.shelf import Staged
from wherry.volumes.audit import FORGOTTEN
from wherry.volumes.driver import VolumeDriver
from wherry.volumes.inside import open_subpath

DEFAULT_DRIVER = "local"
ANONYMOUS_LABEL = "com.docker.volume.anonymous"

# Changes of records that somebody else commits, with what belongs to them.
Later = list[Staged]


@dataclass(frozen=True, slots=True)
class Doomed:
    """A volume on its way out, and the end of its record, which is to be committed."""

    volume: Volume
    record: Staged


class VolumeRecords(Protocol):
    """Where the records of volumes are kept, by name; a change is durable when it was awaited."""

    def get(self, key: str) -> Volume | None:
        """The record, or None."""

    def values(self) -> Sequence[Volume]:
        """All of them."""

    def stage(self, key: str, record: Volume) -> Staged:
        """Write one, durable with a later `commit`."""

    def stage_removal(self, key: str) -> Staged:
        """Remove one, durable with a later `commit`."""

    async def commit(self, *staged: Staged) -> None:
        """Make these durable, all or none."""


class Volumes:
    """The volumes of one engine. Its coroutines are called on one event loop; the blocking calls say so."""

    def __init__(
        self, records: VolumeRecords, drivers: Mapping[str, VolumeDriver], clock: Callable[[], int] = now_ns
    ) -> None:
        self._records = records
        self._drivers = drivers
        self._clock = clock
        self._lock = Lock()
        # Records that are to be committed together with a container's.
        self._unsaved: dict[str, Staged] = {}

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        later: Later | None = None,
    ) -> Volume:
        """Make a volume, durable on return; one of that name that is there already is given instead.

        With `later` its record goes there, to be committed with that of the container it is for; then call `confirm`.
        Without a name it is anonymous: 64 hex digits and a label. Raises InvalidParameter, NotFound (no such driver)
        and Conflict (it is there with another driver), in dockerd's words.
        """
        is_anonymous = not name
        name = name or new_id()
        async with self._lock:
            existing = self._records.get(name)
            if existing is not None:
                await self._have_durable(name)
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
            self._unsaved[name] = self._records.stage(name, volume)
            if later is None:
                await self._have_durable(name)
                crash_point("volume.recorded")
            else:
                later.append(self._unsaved[name])
            return volume

    async def confirm(self, names: Iterable[str]) -> None:
        """The records that `create` gave back are durable by now."""
        for name in names:
            self._unsaved.pop(name, None)
            volume = self._records.get(name)
            if volume is not None:
                await to_thread(self._driver(volume.driver).confirm, name)
                crash_point("volume.confirmed")

    async def abandon(self, volume: Volume) -> None:
        """Take back a volume that was made for a container which then was not. Raises EngineError."""
        async with self._lock:
            await to_thread(self._driver(volume.driver).remove, volume.name)
            staged = self._unsaved.pop(volume.name, None)
            if staged is not None:
                staged.put_back()
            elif self._records.get(volume.name) is not None:
                await self._records.commit(self._records.stage_removal(volume.name))
        await self.purge()

    async def recover(self) -> Sequence[str]:
        """Put right what a crash left, when all that run have acquired; the names of what was removed."""
        removed = []
        for driver in self._drivers.values():
            known = {one.name: one.options or {} for one in self._records.values() if one.driver == driver.name}
            removed += await to_thread(driver.recover, known)
        return removed

    async def _have_durable(self, name: str) -> None:
        """Should somebody else still be about to commit it: whoever is given the volume now must not depend on that."""
        staged = self._unsaved.get(name)
        if staged is not None:
            try:
                await self._records.commit(staged)
            finally:
                self._unsaved.pop(name, None)
            await self.confirm((name,))

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
                doomed = await self._doom(volume)
            crash_point("volume.doomed")
            await self._records.commit(doomed.record)
            crash_point("volume.removed")
            await self._drop(volume)
            return volume

    async def doom(self, name: str) -> Doomed:
        """Begin to remove a volume: it goes when the record's removal is committed, and is then to be dropped.

        Raises NotFound, EngineError when it is mounted for somebody.
        """
        async with self._lock:
            return await self._doom(self.inspect(name))

    async def drop(self, doomed: Doomed) -> None:
        """Take away what a volume held whose record is gone. Raises EngineError."""
        async with self._lock:
            if self._records.get(doomed.volume.name) is None:  # nobody has made it anew meanwhile
                await self._drop(doomed.volume)

    async def _doom(self, volume: Volume) -> Doomed:
        await to_thread(self._driver(volume.driver).doom, volume.name)
        self._unsaved.pop(volume.name, None)
        return Doomed(volume, self._records.stage_removal(volume.name))

    async def _drop(self, volume: Volume) -> None:
        await to_thread(self._driver(volume.driver).remove, volume.name)
        crash_point("volume.dropped")

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
