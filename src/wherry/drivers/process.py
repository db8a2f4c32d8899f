"""Processes of the native driver: what the daemon holds of a container that lives under its monitor."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable

from wherry.drivers import resources
from wherry.drivers.channel import Channel
from wherry.drivers.driver import ExecBirth, ExitStatus, FoundExec, ProcessGone, Session, StartFailed, Usage
from wherry.drivers.execs import Execs, NativeExec
from wherry.drivers.memory import MemoryWatch, Watched
from wherry.drivers.wording import error_of, plan_of, status_of
from wherry.model.errors import EngineError, Unavailable
from wherry.model.network import PublishedPort
from wherry.monitor import rundir, wire
from wherry.monitor.messages import (
    Attach,
    Attached,
    ClearLog,
    Detached,
    ExecExited,
    Exited,
    Freeze,
    FromMonitor,
    Hello,
    ListPids,
    Pids,
    Refused,
    Release,
    Resize,
    Running,
    Signal,
    Start,
    Thaw,
    ToMonitor,
    Trouble,
    read_from_monitor,
)
from wherry.oci.runtime import Resources

_LOG = logging.getLogger(__name__)

Question = Callable[[int], ToMonitor]


class NativeProcess:
    """A container; `wherry.drivers.driver.Process`. `replace` finds it another monitor when its own is gone."""

    def __init__(
        self,
        container_id: str,
        directory: int,
        *,
        replace: Callable[["NativeProcess"], None],
        memory: MemoryWatch,
    ) -> None:
        """Take over the runtime directory's descriptor. `memory` tells when the container has no more of it."""
        self.id = container_id
        self.directory = directory
        self.lost_monitor = False
        """Whether one was killed, so that the keeper may hold what nobody dropped."""
        self.mounts_linger = False
        self.cgroups_path = ""
        """Where its cgroup is; read from the plan when it is empty."""
        self._mounts = -1
        self._memory = memory
        self._memory_watched: Watched | None = None
        self._replace = replace
        self._channel: Channel[FromMonitor] | None = None
        self._pid = 0
        self._started_ns = 0
        self._execs = Execs(self.ask)
        self._found: list[FoundExec] = []
        self._held_keys: set[str] = set()
        self._is_to_close = False
        self._on_detach: Callable[[], None] = _ignore
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[ExitStatus] = loop.create_future()
        self._first_word: asyncio.Future[FromMonitor] = loop.create_future()
        # Set while a monitor has said that the container runs, and for good when it has ended.
        self._reachable = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its pid on the host."""
        return self._pid

    @property
    def started_ns(self) -> int:
        """When the user's program was executed, in ns since the epoch."""
        return self._started_ns

    @property
    def has_ended(self) -> bool:
        """Whether its status is known."""
        return self._ended.done()

    async def wait(self) -> ExitStatus:
        """Wait for the end; all its output is logged and on its way to its sessions when this returns."""
        return await asyncio.shield(self._ended)

    def expect_release(self, sessions: Iterable[Session]) -> None:
        """Stay connected until those of these that have a key are released."""
        self._held_keys.update(session.key for session in sessions if session.key)

    async def attach(self, session: Session) -> int:
        """Hand a client's socket over; with a key, the last stamp of what it does not get. Raises ProcessGone."""
        plan = plan_of(session)
        if plan.key:
            self._held_keys.add(plan.key)
        try:
            with session.socket:
                answer = await self.ask(lambda serial: Attach(serial=serial, session=plan), (session.socket.fileno(),))
        except BaseException:
            self._held_keys.discard(plan.key)
            raise
        if isinstance(answer, Attached):
            return answer.logged_ns
        # A monitor from before there were keys sends at once.
        self._held_keys.discard(plan.key)
        return time.time_ns()

    async def release(self, key: str) -> None:
        """Let a client have what came since it was attached; also when the container has ended meanwhile."""
        try:
            if self._channel is not None:
                await self._channel.ask(lambda serial: Release(serial=serial, key=key))
        except wire.ConnectionLost:
            pass  # and with its monitor went the client
        finally:
            self._held_keys.discard(key)
            if self._is_to_close and not self._held_keys:
                self._close_channel()

    async def signal(self, number: int) -> None:
        """Send a signal to the first process. Raises ProcessGone."""
        await self.ask(lambda serial: Signal(serial=serial, number=number))

    async def resize(self, *, height: int, width: int) -> None:
        """Set the size of its terminal in characters. Raises ProcessGone."""
        await self.ask(lambda serial: Resize(serial=serial, height=height, width=width))

    async def exec(self, birth: ExecBirth) -> NativeExec:
        """Start a further process. Raises StartFailed, ProcessGone, Unavailable when its monitor is killed."""
        return await self._execs.start(birth)

    def found_execs(self) -> list[FoundExec]:
        """Those that were there when it was adopted."""
        return self._found

    async def hold(self, fds: tuple[int, ...], *, ports: Collection[PublishedPort]) -> None:
        """Keep sockets open for the container, those of `ports` alone. Raises ProcessGone."""
        names = tuple(f"{one.protocol} {one.host_ip} {one.host_port}" for one in ports)
        try:
            await self.ask(lambda serial: Hello(serial=serial, ports=names), fds)
        finally:
            wire.close_all(fds)

    async def pause(self) -> None:
        """Freeze every process. Raises ProcessGone."""
        await self.ask(lambda serial: Freeze(serial=serial))

    async def resume(self) -> None:
        """Thaw. Raises ProcessGone."""
        await self.ask(lambda serial: Thaw(serial=serial))

    async def clear_log(self) -> None:
        """Forget what was logged so far. Raises ProcessGone."""
        await self.ask(lambda serial: ClearLog(serial=serial))

    async def pids(self) -> list[int]:
        """Everything that runs in the container. Raises ProcessGone."""
        answer = await self.ask(lambda serial: ListPids(serial=serial))
        assert isinstance(answer, Pids)
        return list(answer.pids)

    async def update(self, wanted: Resources) -> None:
        """Change limits by the cgroup's files. Raises ProcessGone, EngineError."""
        await asyncio.to_thread(resources.update, self.id, self._cgroup(), self._pid, wanted)

    async def usage(self) -> Usage:
        """Read the cgroup's counts. Raises ProcessGone."""
        return await asyncio.to_thread(resources.usage, self.id, self._cgroup(), self._pid)

    def watch_memory(self, on_out: Callable[[], None], *, told: bool) -> None:
        """Have it called whenever memory runs out, until the end."""
        try:
            self._memory_watched = self._memory.add(self._cgroup(), on_out, told=told)
        except (OSError, EngineError) as error:
            # It has ended already, or the host does not limit memory: then it does not run out in a container.
            _LOG.debug("container %s: its memory is not watched: %s", self.id, error)

    def watch_detaching(self, on_detach: Callable[[], None]) -> None:
        """Have it called when a client leaves by its keys."""
        self._on_detach = on_detach

    def _cgroup(self) -> str:
        """Where its cgroup is. Raises ProcessGone."""
        if not self.cgroups_path:
            plan = rundir.load_plan(self.directory) if self.directory >= 0 else None
            self.cgroups_path = plan.spec.linux.cgroups_path if plan and plan.spec.linux else ""
        if not self.cgroups_path or self._ended.done():
            raise ProcessGone(f"container {self.id} is not running")
        return self.cgroups_path

    async def ask(self, question: Question, fds: tuple[int, ...] = (), *, again: bool = True) -> FromMonitor:
        """Ask the monitor; when it is killed meanwhile, its successor, unless `again` is false."""
        while True:
            await self._met()
            assert self._channel is not None
            try:
                answer, received = await self._channel.ask(question, fds)
            except wire.ConnectionLost:
                if again:
                    continue
                await self._met()  # it may have ended by itself, with the container
                raise Unavailable(f"the monitor of container {self.id} was killed") from None
            wire.close_all(received)
            if isinstance(answer, Refused):
                raise error_of(answer)
            return answer

    def connect(self, connection: socket.socket) -> None:
        """Talk to a monitor from now on; `begun` or `greet` waits until it answers."""
        self._first_word = asyncio.get_running_loop().create_future()
        self._channel = Channel(connection, read_from_monitor, on_told=self._hear, on_lost=self._lost)

    async def order(self, start: Callable[[int], Start], fds: tuple[int, ...]) -> None:
        """Have a monitor that waited make the container. Raises StartFailed, ConnectionLost."""
        assert self._channel is not None
        try:
            answer, _ = await self._channel.ask(start, fds)
        except wire.ConnectionLost:
            if self._first_word.done() and not self._first_word.exception():
                answer = self._first_word.result()  # it could not get ready, and did not wait
            else:
                raise
        if isinstance(answer, Refused):
            raise StartFailed(answer.message, answer.exit_code)
        assert isinstance(answer, Running)
        self._take(answer)

    async def begun(self) -> Running:
        """The monitor's first word. Raises StartFailed, ConnectionLost."""
        word = await self._first_word
        if isinstance(word, Refused):
            raise StartFailed(word.message, word.exit_code)
        assert isinstance(word, Running)
        return word

    async def greet(self, line: socket.socket) -> None:
        """Ask a monitor that was there before who it is, and give it a line to the keeper.

        Raises ConnectionLost, EngineError.
        """
        assert self._channel is not None
        answer, _ = await self._channel.ask(lambda serial: Hello(serial=serial, line=True), (line.fileno(),))
        if isinstance(answer, Refused):
            raise error_of(answer)
        assert isinstance(answer, Running)
        self._take(answer)

    def settle(self, status: ExitStatus) -> None:
        """It ended."""
        if self._ended.done():
            return
        self._ended.set_result(status)
        self._memory.remove(self._memory_watched)
        self._reachable.set()
        self._execs.settle(status.finished_ns)

    def close(self) -> None:
        """Let go of everything; the container stays."""
        self._replace = _ignore
        self._memory.remove(self._memory_watched)
        self._is_to_close = True
        if not self._held_keys:  # else with the last of them: without us its monitor would send the client away
            self._close_channel()
        mounts = self.hand_over_mounts()
        if mounts >= 0:
            os.close(mounts)
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1

    def _close_channel(self) -> None:
        if self._channel:
            self._channel.close()

    def hand_over_mounts(self) -> int:
        """The descriptor that keeps its mounts, -1 for none; closing it may take a while."""
        fd, self._mounts = self._mounts, -1
        return fd

    async def _met(self) -> None:
        """Wait until a monitor is there. Raises ProcessGone."""
        await self._reachable.wait()
        if self._ended.done():
            raise ProcessGone(f"container {self.id} is not running")

    def _hear(self, message: FromMonitor, fds: list[int]) -> None:
        wire.close_all(fds)
        match message:
            case Running():
                self._take(message)
                self._say(message)
            case Refused():
                self._say(message)
            case Exited():
                self.settle(status_of(message.status))
            case ExecExited():
                self._execs.ended(message)
            case Detached():
                self._on_detach()
            case Trouble():
                _LOG.warning("%s", message.message)

    def _say(self, word: FromMonitor) -> None:
        if not self._first_word.done():
            self._first_word.set_result(word)

    def _take(self, running: Running) -> None:
        self._pid, self._started_ns = running.pid, running.started_ns
        self._found = self._execs.find(running.known)
        if self.mounts_linger and self._mounts < 0:
            self._mounts = _open_mounts(running.pid)
        self._reachable.set()

    def _lost(self) -> None:
        self.lost_monitor |= not self._ended.done()
        if not self._first_word.done():
            self._first_word.set_exception(wire.ConnectionLost("the monitor is gone"))
            self._first_word.exception()  # whoever waits for it gets it; nobody need
        if self._reachable.is_set() and not self._ended.done():
            self._reachable.clear()
            self._replace(self)


def _open_mounts(pid: int) -> int:
    """A process's mount namespace; -1 when it is dead already: then its mounts go with it."""
    try:
        return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _ignore(*_: object) -> None:
    """Nothing is to be done."""
