"""Further processes of the native driver: the execs of one container, by what its monitor says of them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from wherry.drivers.driver import ExecBirth, ExitStatus, FoundExec
from wherry.drivers.wording import plan_of, status_of
from wherry.monitor.messages import (
    Exec,
    ExecExited,
    Executing,
    FromMonitor,
    KnownExec,
    Resize,
    Signal,
    ToMonitor,
)

KILLED = 137


class Ask(Protocol):
    """Asks the container's monitor. Raises ProcessGone, Unavailable, EngineError."""

    async def __call__(
        self, question: Callable[[int], ToMonitor], fds: tuple[int, ...] = (), *, again: bool = True
    ) -> FromMonitor:
        """`again` has a successor asked when the monitor is killed meanwhile."""


class NativeExec:
    """An exec; `wherry.drivers.driver.ExecProcess`."""

    def __init__(self, ask: Ask, exec_id: str) -> None:
        """Not running yet."""
        self._ask = ask
        self._id = exec_id
        self._pid = 0
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """Its pid on the host."""
        return self._pid

    async def wait(self) -> ExitStatus:
        """Wait for its end."""
        return await asyncio.shield(self._ended)

    async def resize(self, *, height: int, width: int) -> None:
        """Set the size of its terminal in characters. Raises ProcessGone."""
        await self._ask(lambda serial: Resize(serial=serial, height=height, width=width, exec_id=self._id))

    async def signal(self, number: int) -> None:
        """Send a signal. Raises ProcessGone."""
        await self._ask(lambda serial: Signal(serial=serial, number=number, exec_id=self._id))

    def started(self, pid: int) -> None:
        """It runs."""
        self._pid = pid

    def settle(self, status: ExitStatus) -> None:
        """It ended."""
        if not self._ended.done():
            self._ended.set_result(status)


class Execs:
    """Those that run or are about to, by id."""

    def __init__(self, ask: Ask) -> None:
        """Have none."""
        self._ask = ask
        self._running: dict[str, NativeExec] = {}

    async def start(self, birth: ExecBirth) -> NativeExec:
        """Start one. Raises StartFailed, ProcessGone, Unavailable when its monitor is killed."""
        running = self._running[birth.id] = NativeExec(self._ask, birth.id)
        session = birth.session
        plan = plan_of(session) if session else None
        try:
            answer = await self._ask(
                lambda serial: Exec(
                    serial=serial,
                    id=birth.id,
                    process=birth.process,
                    session=plan,
                    open_stdin=birth.open_stdin,
                    terminal_size=birth.terminal_size,
                    note=birth.note,
                ),
                (session.socket.fileno(),) if session else (),
                again=False,
            )
            assert isinstance(answer, Executing)
            running.started(answer.pid)
        except BaseException:
            self._running.pop(birth.id, None)
            raise
        finally:
            if session:
                session.socket.close()
        return running

    def find(self, known: Iterable[KnownExec]) -> list[FoundExec]:
        """Those that a monitor tells of, as the engine takes them over."""
        return [self._find(one) for one in known]

    def ended(self, message: ExecExited) -> None:
        """A monitor tells of an end."""
        running = self._running.pop(message.id, None)
        if running:
            running.settle(status_of(message.status))

    def settle(self, finished_ns: int) -> None:
        """The container has ended, and all of them with it."""
        for running in self._running.values():
            running.settle(ExitStatus(code=KILLED, finished_ns=finished_ns))

    def _find(self, known: KnownExec) -> FoundExec:
        status = status_of(known.status) if known.status else None
        running = None
        if status is None:
            running = self._running.setdefault(known.id, NativeExec(self._ask, known.id))
            running.started(known.pid)
        return FoundExec(id=known.id, pid=known.pid, note=known.note, process=running, status=status)
