"""Monitors as the daemon has them: forked by the nursery, met again, replaced when they are killed."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine, Iterator, Mapping

import msgspec
from msgspec import Struct

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ExitStatus
from wherry.drivers.keeper import Keeper
from wherry.drivers.nursery import Nursery, NurseryFailed
from wherry.drivers.process import NativeProcess
from wherry.drivers.spares import Spares
from wherry.drivers.wording import status_of
from wherry.model.clock import now_ns
from wherry.model.errors import EngineError, Unavailable
from wherry.monitor import bundle as bundles
from wherry.monitor import identity, messages, rundir, wire
from wherry.monitor.ending import UNKNOWN

_LOG = logging.getLogger(__name__)
_TRIES = 10


class Order(Struct):
    """What is to be made, its descriptors, and what its monitor is to have: sessions with their sockets, then others.

    The descriptors stay the caller's, but for `birth_fds`: those that were sent are closed and taken off the list.
    """

    deliver: messages.Deliver
    birth_fds: list[int]
    sessions: tuple[messages.SessionPlan, ...]
    fds: tuple[int, ...]


class Monitors:
    """Keeper and nursery belong to it; `processes` are the driver's, by container."""

    def __init__(self, exec_root: str, processes: Mapping[str, NativeProcess]) -> None:
        """Start nothing yet."""
        self.keeper = Keeper(exec_root, self._keeper_replaced)
        self.nursery = Nursery(self.keeper)
        self.spares = Spares(self.nursery)
        self._processes = processes
        self._replacing: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Meet or start the keeper, start the nursery. Raises OSError."""
        self.keeper.open()
        self.nursery.open()

    async def close(self) -> None:
        """Let go of keeper and nursery; monitors stay."""
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await self.spares.close()
        await self.nursery.close()
        await self.keeper.close()

    async def order(self, process: NativeProcess, order: Order) -> None:
        """Have a container made, by a monitor that waits or a new one. Raises StartFailed, Unavailable, EngineError."""
        charge = messages.charge_of(order.deliver.plan)
        bundle = order.deliver.bundle
        with _log_directory(charge.log) as log_directory, _host_mounts(bundle) as host_mounts:
            crash_point("start.fork-wanted")
            try:
                spare = self.spares.take() or await self.spares.fork()
            except NurseryFailed as error:
                raise Unavailable(str(error)) from None
            process.connect(spare.monitor)
            crash_point("start.monitor-forked")

            def start(serial: int) -> messages.Start:
                return messages.Start(serial=serial, charge=charge, sessions=order.sessions, bundle=bundle)

            try:
                with spare.midwife:
                    # First, as everything waits for it. Should we die before the next line, the spare ends it.
                    wire.send(
                        spare.midwife,
                        messages.write(order.deliver),
                        (process.directory, *order.birth_fds, *host_mounts),
                    )
                # Now: closed after the container has ended they would be the last ones, which end its mounts.
                wire.close_all(order.birth_fds)
                order.birth_fds.clear()
                await process.order(start, (process.directory, *log_directory, *host_mounts, *order.fds))
            except ConnectionError:
                raise Unavailable(f"the monitor of container {process.id} was killed at its birth") from None
            finally:
                self.spares.expect_more()

    async def meet(self, process: NativeProcess) -> NativeProcess | ExitStatus | None:
        """Talk to a container's monitor, or to another where it was killed. Raises EngineError, OSError.

        How it ended where it has; None when nothing is known of it.
        """
        record = rundir.load_exit(process.directory)
        if record:
            return status_of(record)
        try:
            process.connect(rundir.connect(process.directory))
            with self.keeper.line() as line:
                await process.greet(line)
        except (ConnectionError, FileNotFoundError):
            return await self._meet_without_monitor(process)
        return process

    async def _meet_without_monitor(self, process: NativeProcess) -> NativeProcess | ExitStatus | None:
        record = rundir.load_exit(process.directory)
        if record:  # it was just about to end
            return status_of(record)
        alive = rundir.load_alive(process.directory)
        if alive is None:  # it was never born
            return None
        await self._take_over(process)
        pidfd = identity.open_process(alive.pid, alive.start_ticks, alive.boot_id)
        if pidfd is None:
            return await process.wait()
        os.close(pidfd)
        return process

    def replace(self, process: NativeProcess) -> None:
        """A monitor hung up before its container's end was known."""
        self._in_background(self._find_monitor(process))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _find_monitor(self, process: NativeProcess) -> None:
        found = None
        for _ in range(_TRIES):
            try:
                found = await self.meet(process)
                break
            except wire.ConnectionLost:
                continue  # that one was killed too
            except (OSError, EngineError, msgspec.DecodeError):
                _LOG.exception("container %s has no monitor and gets none", process.id)
                break
        if not isinstance(found, NativeProcess):
            process.settle(found or ExitStatus(code=UNKNOWN, finished_ns=now_ns()))

    async def _take_over(self, process: NativeProcess) -> None:
        """Fork another monitor for a container that has none. Raises EngineError, OSError."""
        plan, alive = rundir.load_plan(process.directory), rundir.load_alive(process.directory)
        if plan is None or alive is None:
            raise FileNotFoundError(f"container {process.id}: its runtime directory was emptied")
        _LOG.warning("container %s: its monitor was killed; another one takes over", process.id)
        found = await self.keeper.give(process.id)

        def question(serial: int) -> messages.TakeOver:
            return messages.TakeOver(
                serial=serial,
                id=process.id,
                pid=alive.pid,
                logged=plan.log.driver != "none",
                kept=found.kept,
            )

        ours, theirs = wire.pair()
        try:
            with theirs, _log_directory(plan.log) as log_directory:
                process.connect(ours)
                await self.nursery.fork(question, (theirs.fileno(), process.directory, *log_directory, *found.fds))
        except NurseryFailed as error:
            raise Unavailable(str(error)) from None
        finally:
            wire.close_all(found.fds)
        await process.begun()

    def _keeper_replaced(self) -> None:
        """It holds nothing yet, and is above nobody."""
        self.spares.drain()
        self.nursery.renew()
        for process in self._processes.values():
            self._in_background(self._deposit_again(process))

    async def _deposit_again(self, process: NativeProcess) -> None:
        with contextlib.suppress(ConnectionError, EngineError), self.keeper.line() as line:
            await process.greet(line)  # who has no monitor now gets one that knows the new keeper


@contextlib.contextmanager
def _host_mounts(bundle: str) -> Iterator[tuple[int, ...]]:
    """The mount namespace in which hooks find their bundle; none where there is none."""
    if not bundle:
        yield ()
        return
    with bundles.host_mounts() as fd:
        yield (fd,)


@contextlib.contextmanager
def _log_directory(plan: messages.LogPlan) -> Iterator[tuple[int, ...]]:
    """Its descriptor, none for the driver `none`; one of the log's own is made. Raises EngineError."""
    if plan.driver == "none":
        yield ()
        return
    try:
        if plan.driver == "local":
            os.makedirs(plan.directory, mode=0o710, exist_ok=True)
        fd = os.open(plan.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"failed to initialize logging driver: open {plan.directory}: {error.strerror}") from None
    try:
        yield (fd,)
    finally:
        os.close(fd)
