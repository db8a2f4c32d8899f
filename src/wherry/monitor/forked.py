"""What a freshly forked monitor does: make a container or take one over, then watch over it."""

import os
import socket
import sys
import traceback
from collections.abc import Callable

from wherry.monitor import container as containers
from wherry.monitor import rundir, wire
from wherry.monitor.delivery import BirthPlace, Delivery
from wherry.monitor.inheritance import sort
from wherry.monitor.jsonlog import Json
from wherry.monitor.logfile import LogFile
from wherry.monitor.lognames import Numbered, Shifted
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.messages import LogPlan, Refused, Start, TakeOver, write
from wherry.monitor.monitor import Monitor, become_monitor
from wherry.monitor.packed import Packed


class Order:
    """What is asked of a monitor, with its descriptors and what the nursery makes ready before it forks."""

    def __init__(self, request: Start | TakeOver, fds: list[int]) -> None:
        """Make ready. What fails is the monitor's to tell: to its daemon, on the connection that came along."""
        self.request = request
        self.fds = fds
        self.log_directory: int | None = None
        self.rest: tuple[int, ...] = ()
        self._delivery: Delivery | None = None
        self._error: Exception | None = None
        if isinstance(request, Start):
            self._try(lambda: self._prepare(request))

    @property
    def delivery(self) -> Delivery:
        """What is ready and begun. Raises what has failed."""
        if self._error is not None:
            raise self._error
        assert self._delivery is not None
        return self._delivery

    def begin(self) -> None:
        """The first thing in the monitor, while it still shares almost all its memory: begin the birth."""
        if self._delivery is not None:
            self._try(self._delivery.begin)

    def hand_on(self) -> None:
        """In the nursery, after the fork."""
        if self._delivery is not None:
            self._delivery.give_cgroup()

    def abandon(self) -> None:
        """In the nursery, when it cannot fork."""
        if self._delivery is not None:
            self._delivery.abandon()

    def _prepare(self, request: Start) -> None:
        take = iter(self.fds[1:])
        directory = next(take)
        if request.plan.log.driver != "none":
            self.log_directory = next(take)
        rootfs = next(take)
        mounts = tuple((destination, next(take)) for destination in request.mounts)
        place = BirthPlace(rootfs, mounts, next(take) if request.netns else None)
        self.rest = tuple(take)
        self._delivery = Delivery(directory, request.plan, place)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, ValueError) as error:
            self._error = error


def run(order: Order, line: socket.socket) -> None:
    """Be the monitor that was asked for, until its container has ended.

    `line` leads to the keeper.
    """
    request, fds = order.request, order.fds
    connection = socket.socket(fileno=fds[0])
    try:
        match request:
            case Start():
                become_monitor(request.plan.id)
                monitor = _start(request, connection, order, line)
            case TakeOver():
                become_monitor(request.id)
                monitor = _take_over(request, connection, fds[1:], line)
    except (OSError, ValueError) as error:
        _refuse(connection, error)
        return
    monitor.run()


def guarded(work: Callable[[], None]) -> int:
    """Do the work; a defect is written to stderr. The exit code."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - the last line of a process
        traceback.print_exc(file=sys.stderr)
        return 1
    return 0


def _start(request: Start, connection: socket.socket, order: Order, line: socket.socket) -> Monitor:
    delivery, directory, plan = order.delivery, order.fds[1], request.plan
    take = iter(order.rest)
    sessions = tuple((socket.socket(fileno=next(take)), session) for session in request.sessions)
    with delivery:
        monitor = Monitor(directory, plan, listener=delivery.listener, line=line, held=tuple(take))
        log = _open_log(monitor, directory, order.log_directory, plan.log)
        if log:
            log.begin()
        container = delivery.finish()
    monitor.watch(container, log, sessions)
    rundir.end_birth(directory)
    monitor.serve(connection)
    return monitor


def _take_over(request: TakeOver, connection: socket.socket, fds: list[int], line: socket.socket) -> Monitor:
    take = iter(fds)
    directory = next(take)
    log_directory = next(take) if request.logged else None
    inherited = sort(request.kept, list(take))
    plan = rundir.load_plan(directory)
    if plan is None:
        raise FileNotFoundError(f"container {request.id} has no plan in its runtime directory")
    monitor = Monitor(directory, plan, listener=rundir.listen(directory), line=line, held=inherited.held)
    log = _open_log(monitor, directory, log_directory, plan.log)
    container = containers.find(directory, request.pid, inherited.container)
    unsent = log.resume() if log else None
    containers.remember(directory, container)
    monitor.watch(container, log)
    monitor.take_over(inherited, unsent)
    monitor.serve(connection)
    return monitor


def _open_log(monitor: Monitor, directory: int, log_directory: int | None, plan: LogPlan) -> LogWriter | None:
    journal = rundir.open_journal(directory)  # also the lock that only one monitor holds
    if log_directory is None:
        return None
    kind, record = (Shifted, Json()) if plan.driver == "json-file" else (Numbered, Packed())
    file = LogFile(
        log_directory,
        kind(log_directory, plan.name, plan.files_max),
        record,
        bytes_max=plan.bytes_max,
        attributes=write(plan.attributes) if plan.attributes else b"",
        compress=plan.compress,
    )
    return LogWriter(file, journal, on_loss=monitor.trouble)


def _refuse(connection: socket.socket, error: Exception) -> None:
    refusal = Refused(serial=0, message=str(error), exit_code=getattr(error, "exit_code", 0) or 128)
    try:
        wire.send(connection, write(refusal))
    except OSError:
        os.write(2, f"{error}\n".encode())
    connection.close()
