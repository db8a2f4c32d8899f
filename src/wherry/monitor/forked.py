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
from wherry.monitor.logfile import LogFile
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.messages import LogPlan, Refused, Start, TakeOver, write
from wherry.monitor.monitor import Monitor, become_monitor


def run(request: Start | TakeOver, fds: list[int], line: socket.socket) -> None:
    """Be the monitor that was asked for, until its container has ended.

    `fds` are those of the message; `line` leads to the keeper.
    """
    connection = socket.socket(fileno=fds[0])
    try:
        match request:
            case Start():
                become_monitor(request.plan.id)
                monitor = _start(request, connection, fds[1:], line)
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


def _start(request: Start, connection: socket.socket, fds: list[int], line: socket.socket) -> Monitor:
    plan = request.plan
    take = iter(fds)
    directory = next(take)
    log_directory = next(take) if plan.log.driver != "none" else None
    rootfs = next(take)
    mounts = tuple((destination, next(take)) for destination in request.mounts)
    place = BirthPlace(rootfs, mounts, next(take) if request.netns else None)
    sessions = tuple((socket.socket(fileno=next(take)), session) for session in request.sessions)
    with Delivery(plan, place) as delivery:
        # Before anything of the user's runs: whoever finds it without a monitor needs this.
        rundir.save(directory, rundir.PLAN, plan)
        delivery.give_cgroup()
        monitor = Monitor(directory, plan, listener=rundir.listen(directory), line=line, held=tuple(take))
        log = _open_log(monitor, directory, log_directory, plan.log)
        container = delivery.finish(directory)
    monitor.watch(container, log, sessions)
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
    file = LogFile(log_directory, plan.name, bytes_max=plan.bytes_max, files_max=plan.files_max)
    attributes = write(plan.attributes) if plan.attributes else b""
    return LogWriter(file, journal, attributes=attributes, on_loss=monitor.trouble)


def _refuse(connection: socket.socket, error: Exception) -> None:
    refusal = Refused(serial=0, message=str(error), exit_code=getattr(error, "exit_code", 0) or 128)
    try:
        wire.send(connection, write(refusal))
    except OSError:
        os.write(2, f"{error}\n".encode())
    connection.close()
