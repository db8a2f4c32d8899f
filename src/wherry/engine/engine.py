"""The Engine: a record of rooms that every verb takes, and of what lives now."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wherry.drivers.driver import ExecDriver, ExecProcess, ExitStatus, Process, Session
from wherry.engine.exec_record import Exec
from wherry.engine.settings import Settings
from wherry.engine.usage import Reader
from wherry.events.bus import Bus
from wherry.images.library import Library
from wherry.logs.driver import LogDriver
from wherry.logs.shipping import Shipper
from wherry.model.container import Container
from wherry.model.session import SessionRecord
from wherry.networks.driver import Networks
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.storage.driver import StorageDriver
from wherry.volumes.volumes import Volumes

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class Visit:
    """Somebody inside a container's file system: `away` is set to have him leave, `over` when he has."""

    away: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def send_away(self) -> None:
        """Have him leave."""
        self.away.set()


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """What memory holds of a container beside its record: gone with the daemon, found again by `life.open_engine`.

    `lock` is held while a process is made or unmade, never while one runs. `ended` counts ends: a waiter looks
    at it under `changed`. `killed` is the process that was sent SIGKILL: it is not to be frozen any more.
    `stop_wanted` ends a restart policy's pause and its wish to start again. `keep` holds automatic removal back;
    `doomed` says that removal follows the end at once, so that one commit is enough for both. `forgetting` ends what
    the driver kept of the last process: nothing new may begin before. `shipper` sends its log elsewhere. `sessions`
    are clients that attached before the start; `holders` has by their keys the process that took those in which are to
    get the log first, as it may end before that. `visits` are workers inside its file system; `leaving` turns new ones
    away. `putting` is held by who unpacks there.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    process: Process | None = None
    killed: Process | None = None
    sessions: list[Session] = field(default_factory=list)
    holders: dict[str, Process] = field(default_factory=dict)
    last_exit: ExitStatus | None = None
    exits: int = 0
    stop_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: asyncio.Task[None] | None = None
    removed: bool = False
    keep: bool = False
    doomed: bool = False
    forgetting: asyncio.Task[None] | None = None
    shipper: Shipper | None = None
    visits: set[Visit] = field(default_factory=set)
    leaving: bool = False
    putting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def hand_over_sessions(self) -> tuple[Session, ...]:
        """The clients that waited for the start; their sockets are the driver's from now on."""
        sessions = tuple(self.sessions)
        self.sessions.clear()
        return sessions

    async def unvisited(self) -> None:
        """Wait until nobody is inside the file system of the last process: it is opened once at a time."""
        while self.visits:
            await next(iter(self.visits)).over.wait()

    def send_visits_away(self) -> None:
        """End those who are inside its file system; they go in a moment."""
        for visit in self.visits:
            visit.send_away()

    async def forgotten(self) -> None:
        """Wait until nothing is left of the last process."""
        if self.forgetting is not None:
            await asyncio.wait([self.forgetting])

    def close_sessions(self) -> None:
        """Send the clients away that waited for a start which failed."""
        for session in self.hand_over_sessions():
            session.socket.close()


@dataclass(slots=True, kw_only=True, eq=False)
class LiveExec:
    """One exec: its record, and its process while that runs. `settled` says that it runs, or never will."""

    record: Exec
    process: ExecProcess | None = None
    started: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True, eq=False)
class LiveSession:
    """What memory holds of a session: how many connections hold it, and what waits for the last one's return.

    `closed` is set when it ends: it takes nothing more in.
    """

    holders: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.TimerHandle | None = None
    ending: asyncio.Task[None] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Engine:
    """Every room of the house that the verbs use. Made in `bootstrap.house`, opened in `engine.life`.

    `standing` are tasks that go on as long as the daemon does. `closing` says that it ends: clients that lose their
    connections from now on have not left.
    `load_driver` finds an execution driver that another package brings, by its name, not open yet; KeyError for none.
    """

    settings: Settings
    ledger: Ledger
    containers: Shelf[Container]
    sessions: Shelf[SessionRecord]
    storage: StorageDriver
    volumes: Volumes
    networks: Networks
    drivers: dict[str, ExecDriver]
    log_drivers: dict[str, LogDriver]
    load_log_driver: Callable[[str], LogDriver | None]
    load_driver: Callable[[str], ExecDriver]
    library: Library
    bus: Bus
    tasks: asyncio.TaskGroup
    live: dict[str, Live] = field(default_factory=dict)
    execs: dict[str, LiveExec] = field(default_factory=dict)
    ended_execs: deque[str] = field(default_factory=deque)
    reserved_names: set[str] = field(default_factory=set)
    uncleared: list[tuple[Container, Live]] = field(default_factory=list)
    clearing: asyncio.Task[None] | None = None
    in_making: set[str] = field(default_factory=set)
    readers: dict[str, Reader] = field(default_factory=dict)
    live_sessions: dict[str, LiveSession] = field(default_factory=dict)
    standing: list[asyncio.Task[None]] = field(default_factory=list)
    closing: bool = False
    pruning: set[str] = field(default_factory=set)

    def live_of(self, container_id: str) -> Live:
        """What memory holds of a container; made when there is nothing yet."""
        return self.live.setdefault(container_id, Live())

    def directory(self, container_id: str) -> Path:
        """Where a container's log and its hosts, hostname and resolv.conf lie."""
        return self.settings.data_root / "containers" / container_id

    def driver_of(self, container: Container) -> ExecDriver:
        """The execution driver that runs it."""
        return self.drivers[container.driver]

    def background(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Do something that no request waits for. What goes wrong there is logged and ends nothing else."""
        return self.tasks.create_task(_logged(work, name), name=name)

    async def change(self, container_id: str, change: Callable[[Container], Container]) -> Container:
        """Replace a container's record durably, and wake those who wait for a change of it."""
        container = await self.containers.update(container_id, change)
        await self.announce_change(container_id)
        return container

    async def announce_change(self, container_id: str) -> None:
        """Wake those who wait for a change of a container."""
        live = self.live_of(container_id)
        async with live.changed:
            live.changed.notify_all()


async def _logged(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except Exception:
        # The task group would take every other container's supervisor down with it.
        log.exception("%s failed", name)
