"""What a freshly forked monitor does: wait for a container to make, or take one over; then watch over it."""

import os
import socket
import sys
import traceback
from collections.abc import Callable

from wherry.monitor import container as containers
from wherry.monitor import rundir, wire
from wherry.monitor.berth import Berth
from wherry.monitor.bundle import Shown
from wherry.monitor.inheritance import sort
from wherry.monitor.jsonlog import Json
from wherry.monitor.logfile import LogFile
from wherry.monitor.lognames import Numbered, Shifted
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.messages import LogPlan, Refused, Start, TakeOver, charge_of, write
from wherry.monitor.monitor import Monitor, become_nobodys, title_monitor
from wherry.monitor.packed import Packed
from wherry.monitor.spare import Spare


def wait(berth: Berth, connections: list[int], line: socket.socket) -> None:
    """Be a spare until there is an order; then the container's monitor, until that has ended.

    `connections` lead to the daemon: ours, and the midwife's; `line` to the keeper.
    """
    become_nobodys()
    try:
        spare = Spare(berth, connections, line)
    except OSError as error:
        _refuse(socket.socket(fileno=connections[0]), error, serial=0)
        return
    ordered = spare.wait()
    if ordered is not None:
        order, fds = ordered
        title_monitor(order.charge.id)
        _watch(lambda: _start(spare, order, fds, berth.listener, line), spare.connection, serial=order.serial)


def take_over(request: TakeOver, fds: list[int], line: socket.socket) -> None:
    """Be the monitor of a container whose own was killed, until it has ended."""
    become_nobodys()
    title_monitor(request.id)
    _watch(lambda: _take_over(request, fds[1:], line), socket.socket(fileno=fds[0]), serial=0)


def _watch(make: Callable[[], Monitor], connection: socket.socket, *, serial: int) -> None:
    try:
        monitor = make()
    except (OSError, ValueError) as error:
        _refuse(connection, error, serial=serial)
        return
    monitor.serve(connection, serial=serial)
    monitor.run()


def guarded(work: Callable[[], None]) -> int:
    """Do the work; a defect is written to stderr. The exit code."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - the last line of a process
        traceback.print_exc(file=sys.stderr)
        return 1
    return 0


def _start(spare: Spare, order: Start, fds: list[int], listener: socket.socket, line: socket.socket) -> Monitor:
    take, charge = iter(fds), order.charge
    directory = next(take)
    log_directory = -1 if charge.log.driver == "none" else next(take)
    shown = Shown(order.bundle, next(take)) if order.bundle else None
    sessions = tuple((socket.socket(fileno=next(take)), session) for session in order.sessions)
    with spare.delivery(charge, directory, shown) as delivery:
        monitor = Monitor(directory, charge, listener=listener, line=line, held=tuple(take))
        log = _open_log(monitor, directory, log_directory, charge.log)
        if log:
            log.begin()
        container = delivery.finish()
    monitor.watch(container, log, sessions)
    rundir.end_birth(directory)
    return monitor


def _take_over(request: TakeOver, fds: list[int], line: socket.socket) -> Monitor:
    take = iter(fds)
    directory = next(take)
    log_directory = next(take) if request.logged else -1
    inherited = sort(request.kept, list(take))
    plan = rundir.load_plan(directory)
    if plan is None:
        raise FileNotFoundError(f"container {request.id} has no plan in its runtime directory")
    charge, listener = charge_of(plan), rundir.listener()
    rundir.listen(directory, listener)
    monitor = Monitor(directory, charge, listener=listener, line=line, held=inherited.held)
    log = _open_log(monitor, directory, log_directory, charge.log)
    container = containers.find(directory, charge, request.pid, inherited.container)
    unsent = log.resume() if log else None
    containers.remember(directory, container)
    monitor.watch(container, log)
    monitor.take_over(inherited, unsent)
    return monitor


def _open_log(monitor: Monitor, directory: int, log_directory: int, plan: LogPlan) -> LogWriter | None:
    journal = rundir.open_journal(directory)  # also the lock that only one monitor holds
    if log_directory < 0:
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


def _refuse(connection: socket.socket, error: Exception, *, serial: int) -> None:
    refusal = Refused(serial=serial, message=str(error), exit_code=getattr(error, "exit_code", 0) or 128)
    try:
        wire.send(connection, write(refusal))
    except OSError:
        os.write(2, f"{error}\n".encode())
    connection.close()
