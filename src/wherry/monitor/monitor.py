"""The monitor: one small process beside each container, which owns its streams, its execs and its end.

It is forked from the nursery, makes the container's first process, and lives as long as that one does, whether there
is a daemon or not. It writes the log, serves attached clients, and makes the exit record durable before it tells
anybody. It imports nothing after the fork.
"""

import errno
import os
import signal
import socket
import time

from wherry.libcontainer.cgroups import Cgroup
from wherry.linux import heap, prctl, process, signals
from wherry.monitor import container as containers
from wherry.monitor import deposits, inheritance, keeping, rundir, wire
from wherry.monitor.connections import Answer, Connections
from wherry.monitor.container import Container
from wherry.monitor.deposits import Deposits
from wherry.monitor.ending import Ending
from wherry.monitor.execs import Execs, Frozen
from wherry.monitor.held import renew
from wherry.monitor.inheritance import Inheritance
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.loop import READ, Loop
from wherry.monitor.messages import (
    Attach,
    Attached,
    Charge,
    ClearLog,
    Detached,
    Done,
    Exec,
    ExecExited,
    Executing,
    Exited,
    ExitRecord,
    Freeze,
    Hello,
    Kept,
    ListPids,
    Pids,
    Refused,
    Release,
    Resize,
    Running,
    SessionPlan,
    Signal,
    Thaw,
    ToMonitor,
    Trouble,
    write,
)
from wherry.monitor.seats import Seats
from wherry.monitor.streams import Streams
from wherry.monitor.title import set_title

Session = tuple[socket.socket, SessionPlan]
_CONTAINER = "container"


class Monitor:
    """Watches over one container until it and its clients are done."""

    def __init__(
        self, directory: int, charge: Charge, *, listener: socket.socket, line: socket.socket, held: tuple[int, ...]
    ) -> None:
        """Begin without a container; `held` descriptors are kept open as long as it lives. `line` is the keeper's."""
        self._directory = directory
        self._charge = charge
        self._held = held
        self._loop = Loop(on_quiet=self._rest)
        self._connections = Connections(self._loop, listener, self._serve, on_lost=self._drop_held)
        self._deposits = Deposits(self._loop, line, charge.id)
        self._seats = Seats(directory, self._deposits)
        self._execs = Execs(
            self._loop,
            lambda: rundir.load_surroundings(directory),
            deposits=self._deposits,
            seats=self._seats,
            open_spill=self._open_spill,
            on_exit=self._exec_ended,
            on_idle=self._stop_when_idle,
        )
        self._endings: list[Ending] = []
        self._ended = False

    def watch(self, container: Container, log: LogWriter | None, sessions: tuple[Session, ...] = ()) -> None:
        """Take charge of a container."""
        self._container = container
        self._log = log
        self._streams = Streams(
            self._loop,
            container.ends,
            seats=self._seats.row(),
            open_spill=self._open_spill,
            on_detach=self._tell_detached,
            log=log,
            stdin_once=self._charge.stdin_once,
            on_stdin_closed=self._deposit,
            on_idle=self._stop_when_idle,
        )
        for connection, session in sessions:
            self._streams.attach(connection, session)
        self._signals = signals.open_signalfd((signal.SIGCHLD,))
        self._loop.watch(self._signals, READ, self._reap)
        self._deposit()
        for name, fds, kept in inheritance.bundles(self._held, keeping.PACKET_FDS_MAX):
            self._deposits.put(name, fds, write(kept))

    def take_over(self, inherited: Inheritance, unsent: tuple[int, bytes] | None) -> None:
        """Go on with the clients and execs of a monitor that was killed; `unsent` was logged, but not yet sent."""
        for connection, kept in inherited.clients_of(""):
            self._streams.attach_again(connection, kept)
        if unsent:
            self._streams.send(*unsent)
        for kept, fds in inherited.execs:
            self._endings.append(self._execs.take_over(kept, fds, inherited.clients_of(kept.exec_id)))
        for connection, kept in inherited.strays:
            self._seats.give_up(kept)
            connection.close()
        container = self._container
        ending = Ending(
            self._loop,
            status_fd=inherited.container.get("status", -1),
            pidfd=container.pidfd,
            ask=lambda: containers.known_exit_code(container.pid, container.start_ticks, container.pidfd),
            on_end=self._end,
        )
        self._endings.append(ending)

    def serve(self, connection: socket.socket, *, serial: int) -> None:
        """Tell a daemon that the container runs, in answer to what it asked, and serve it."""
        # First: from the answer on a kill must cost nothing.
        self._deposits.flush()
        self._connections.add(connection)
        self._connections.tell(self._running(serial))

    def run(self) -> None:
        """Until the container has ended and every client has what is its own."""
        # What ended before the descriptors were watched is not told again.
        self._reap(READ)
        for ending in self._endings:
            ending.begin()
        self._loop.run()
        self._connections.close()

    def trouble(self, error: OSError) -> None:
        """Tell what an administrator should know."""
        self._connections.tell(Trouble(message=f"container {self._charge.id}: {error}"))

    def _rest(self) -> None:
        """All is quiet: give back what a burst of output has left in memory."""
        if self._log:
            self._log.rest()
        heap.give_back()

    def _reap(self, _: int) -> None:
        """Reap every child that is dead: an exec that is not reaped at once would keep its container from dying."""
        signals.read_signalfd(self._signals)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = containers.exit_code(status)
            if pid == self._container.pid:
                self._end(code, time.time_ns())
            elif not (self._log and self._log.reaped(pid, well=not code)):
                self._execs.died(pid, code)

    def _deposit(self) -> None:
        fds = self._streams.ends.named()
        if self._container.pidfd >= 0:
            fds = {"pidfd": self._container.pidfd, **fds}
        kept = Kept(fds=tuple(fds), pid=self._container.pid)
        self._deposits.put(_CONTAINER, tuple(fds.values()), write(kept), pid=self._container.pid)

    def _end(self, code: int, finished_ns: int) -> None:
        """The first process is dead: everything else goes, the record is written, everybody is told."""
        if self._ended:
            return
        self._ended = True
        self._deposits.hold()
        oom_killed = self._leave_cgroup()
        self._reap(READ)
        self._streams.finish()
        if self._log:
            self._log.close()
        released = self._let_go()
        record = ExitRecord(code=code, finished_ns=finished_ns, oom_killed=oom_killed)
        try:
            rundir.save(self._directory, rundir.EXIT, record, durable=True)
        finally:
            self._connections.stop_listening()
            for each in released:
                deposits.end_release(each)
            self._connections.tell(Exited(status=record))
            self._deposits.end()
            self._stop_when_idle()

    def _let_go(self) -> list[int | None]:
        """Close what was held for the container, here and with the keeper."""
        wire.close_all(self._held)
        names = [name for name, _, _ in inheritance.bundles(self._held, keeping.PACKET_FDS_MAX)]
        return [self._deposits.begin_release(name) for name in names]

    def _leave_cgroup(self) -> bool:
        """Kill what is left (there is something when the pid namespace was not its own); whether memory ran out."""
        cgroup = self._container.cgroup
        oom_killed = False
        try:
            oom_killed = bool(cgroup and cgroup.oom_killed())
            containers.remove_cgroup(cgroup)
        except OSError as error:
            self.trouble(error)
        return oom_killed

    def _open_spill(self) -> int:
        if self._log is None:
            raise FileNotFoundError("there is no log, and so no directory for what a client does not take")
        return self._log.open_spill()

    def _drop_held(self) -> None:
        self._streams.drop_held()

    def _stop_when_idle(self) -> None:
        if self._ended and not self._streams.has_clients and not self._execs.has_clients:
            self._loop.stop()

    def _exec_ended(self, exec_id: str, status: ExitRecord) -> None:
        self._connections.tell(ExecExited(id=exec_id, status=status))

    def _tell_detached(self) -> None:
        self._connections.tell(Detached())

    def _serve(self, request: ToMonitor, fds: list[int]) -> Answer:
        """Do what a daemon asks. Descriptors are ours, also when it fails."""
        clients = [socket.socket(fileno=fd) for fd in fds]
        try:
            if self._ended and not isinstance(request, Release):
                raise ProcessLookupError
            return self._do(request, clients)
        except (OSError, ValueError) as error:
            for client in clients:
                client.close()
            # Whoever enters a container in the moment of its end finds its namespaces gone before it is dead.
            is_over = self._ended or getattr(error, "errno", 0) == errno.ESRCH
            if is_over or process.has_ended(self._container.pidfd):
                message = f"container {self._charge.id} is not running"
                return Refused(serial=request.serial, message=message, gone=True), ()
            exit_code = getattr(error, "exit_code", 0)
            conflict = isinstance(error, Frozen)
            return Refused(serial=request.serial, message=str(error), exit_code=exit_code, conflict=conflict), ()

    def _do(self, request: ToMonitor, clients: list[socket.socket]) -> Answer:
        container = self._container
        match request:
            case Hello():
                return self._greet(request, clients)
            case Attach():
                logged_ns = self._streams.attach(clients[0], request.session)
                if request.session.key:
                    return Attached(serial=request.serial, logged_ns=logged_ns), ()
            case Release():
                self._streams.release(request.key)
            case Exec():
                pid = self._execs.start(container, request, clients[0] if clients else None)
                return Executing(serial=request.serial, pid=pid), ()
            case Resize():
                streams = self._execs.streams_of(request.exec_id) if request.exec_id else self._streams
                streams.resize(height=request.height, width=request.width)
            case Signal():
                self._signal(request)
            case ListPids():
                return Pids(serial=request.serial, pids=tuple(self._cgroup().pids())), ()
            case _:
                self._do_to_all(request)
        return Done(serial=request.serial), ()

    def _do_to_all(self, request: ToMonitor) -> None:
        """What concerns the container as a whole."""
        match request:
            case Freeze():
                self._cgroup().freeze()
            case Thaw():
                self._cgroup().thaw()
            case ClearLog():
                if self._log:
                    self._log.clear()

    def _greet(self, request: Hello, lines: list[socket.socket]) -> Answer:
        if request.line:
            self._deposits.move(lines.pop(0))
        if request.ports is not None:
            more = tuple(each.detach() for each in lines)
            self._held = renew(self._held, more, request.ports, self._deposits)
        return self._running(request.serial), ()

    def _running(self, serial: int) -> Running:
        container = self._container
        execs, known = self._execs.pids, self._execs.known()
        return Running(serial=serial, pid=container.pid, started_ns=container.started_ns, execs=execs, known=known)

    def _cgroup(self) -> Cgroup:
        cgroup = self._container.cgroup
        if cgroup is not None:
            return cgroup
        if self._charge.cgroups_path:  # a forerunner had removed it already
            raise ProcessLookupError(f"container {self._charge.id} is not running")
        raise ValueError(f"container {self._charge.id} has no cgroup")

    def _signal(self, request: Signal) -> None:
        number = request.number
        if request.exec_id:
            self._execs.signal(request.exec_id, number)
            return
        process.pidfd_send_signal(self._container.pidfd, number)
        cgroup = self._container.cgroup
        if number == signal.SIGKILL and cgroup and cgroup.is_frozen():
            cgroup.thaw()  # a frozen process dies when it is thawed (cgroup v1), and the user means it


def become_nobodys() -> None:
    """What a fork of the nursery does first."""
    os.setsid()
    prctl.set_child_subreaper(on=True)


def title_monitor(container_id: str) -> None:
    """Let ps(1) show whose monitor this is."""
    set_title("wherry-mon", f"wherry-monitor {container_id}")
