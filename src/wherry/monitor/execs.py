"""Further processes in a running container, each with streams of its own."""

import os
import socket
import time
from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct

from wherry.libcontainer.enter import enter
from wherry.monitor.container import Container, known_exit_code
from wherry.monitor.deposits import Deposits
from wherry.monitor.ending import Ending
from wherry.monitor.loop import Loop
from wherry.monitor.messages import Exec, ExitRecord, Kept, KnownExec, Surroundings, write
from wherry.monitor.seats import Seats
from wherry.monitor.stdio import open_stdio
from wherry.monitor.streams import Ends, Streams
from wherry.oci.runtime import ConsoleSize, Linux, Spec

# How many that ended are remembered for a daemon that comes back.
_ENDED_MAX = 64


class Frozen(ValueError):
    """The container is paused."""


class Running(Struct):
    """An exec whose process lives. `pidfd` is for a successor: a child of ours is reaped by its pid, at once."""

    id: str
    pid: int
    streams: Streams
    pidfd: int
    note: str


class Execs:
    """The execs of one container: alive by pid, and those that are dead but have clients to serve still."""

    def __init__(
        self,
        loop: Loop,
        look_around: Callable[[], Surroundings],
        *,
        deposits: Deposits,
        seats: Seats,
        open_spill: Callable[[], int],
        on_exit: Callable[[str, ExitRecord], None],
        on_idle: Callable[[], None],
    ) -> None:
        """Begin with none; `look_around` is called with the first."""
        self._loop = loop
        self._look_around = look_around
        self._around: Surroundings | None = None
        self._deposits = deposits
        self._seats = seats
        self._open_spill = open_spill
        self._on_exit = on_exit
        self._on_idle = on_idle
        self._alive: dict[int, Running] = {}
        self._dead: list[Streams] = []
        self._ended: deque[KnownExec] = deque(maxlen=_ENDED_MAX)

    @property
    def pids(self) -> dict[str, int]:
        """Of those that live, by id."""
        return {running.id: pid for pid, running in self._alive.items()}

    def known(self) -> tuple[KnownExec, ...]:
        """Those that ended, the last ones of them, then those that live."""
        alive = (KnownExec(id=one.id, pid=one.pid, note=one.note) for one in self._alive.values())
        return (*self._ended, *alive)

    @property
    def has_clients(self) -> bool:
        """Whether a client of a dead one is still to get something."""
        return any(streams.has_clients for streams in self._dead)

    def start(self, container: Container, request: Exec, client: socket.socket | None) -> int:
        """Enter the container; the new process's pid. Raises BirthError, OSError, Frozen."""
        around = self._around = self._around or self._look_around()
        if container.cgroup and container.cgroup.is_frozen():
            # It would be frozen on its way in, and we would wait for it for ever.
            raise Frozen(f"Container {around.id} is paused, unpause the container before exec")
        described = request.process
        if not described.rlimits:  # as runc: the container's own limits, unless said otherwise
            described = msgspec.structs.replace(described, rlimits=around.spec.process.rlimits)
        height, width = request.terminal_size
        if described.terminal and (height or width):
            # It is set before the program begins, which may ask at once.
            described = msgspec.structs.replace(described, console_size=ConsoleSize(height=height, width=width))
        with open_stdio(terminal=described.terminal, open_stdin=request.open_stdin, outlive=False) as pipes:
            child = enter(
                container.pidfd,
                Spec(oci_version="", linux=Linux(personality=around.spec.linux.personality)),
                described,
                pipes.child,
                cgroup=container.cgroup,
                seccomp_program=around.seccomp,
                seccomp_flags=around.seccomp_flags,
                container_id=around.id,
            )
            ends = pipes.take(child.terminal)
        self._deposits.hold()
        streams = self._stream(request.id, child.pid, child.pidfd, ends, note=request.note)
        if client is not None and request.session:
            streams.attach(client, request.session)
        self._deposits.flush()
        return child.pid

    def take_over(self, kept: Kept, fds: dict[str, int], clients: list[tuple[socket.socket, Kept]]) -> Ending:
        """Go on with an exec whose monitor was killed; its end is to be waited for."""
        pidfd, status_fd = fds.pop("pidfd", -1), fds.pop("status", -1)
        streams = self._stream(kept.exec_id, kept.pid, pidfd, Ends(**fds), note=kept.note)
        for connection, session in clients:
            streams.attach_again(connection, session)
        return Ending(
            self._loop,
            status_fd=status_fd,
            pidfd=pidfd,
            ask=lambda: known_exit_code(kept.pid, 0, pidfd),
            on_end=lambda code, finished_ns: self._end(kept.pid, code, finished_ns),
        )

    def streams_of(self, exec_id: str) -> Streams:
        """Those of one that lives. Raises ProcessLookupError."""
        return self._find(exec_id).streams

    def signal(self, exec_id: str, number: int) -> None:
        """Send a signal to an exec's process, which nobody has reaped yet. Raises ProcessLookupError."""
        os.kill(self._find(exec_id).pid, number)

    def died(self, pid: int, code: int) -> bool:
        """A child was reaped; whether it was one of ours."""
        return self._end(pid, code, time.time_ns())

    def _find(self, exec_id: str) -> Running:
        for running in self._alive.values():
            if running.id == exec_id:
                return running
        raise ProcessLookupError(f"no exec {exec_id} is running")

    def _stream(self, exec_id: str, pid: int, pidfd: int, ends: Ends, *, note: str) -> Streams:
        streams = Streams(
            self._loop,
            ends,
            seats=self._seats.row(exec_id),
            open_spill=self._open_spill,
            stdin_once=True,
            # The keeper's copy would keep the process from seeing the end of its input.
            on_stdin_closed=lambda: self._deposit(running),
            on_idle=self._idle,
        )
        running = self._alive[pid] = Running(exec_id, pid, streams, pidfd, note)
        self._deposit(running)
        return streams

    def _deposit(self, running: Running) -> None:
        fds = running.streams.ends.named()
        if running.pidfd >= 0:
            fds = {"pidfd": running.pidfd, **fds}
        kept = Kept(fds=tuple(fds), exec_id=running.id, pid=running.pid, note=running.note)
        self._deposits.put(f"exec {running.id}", tuple(fds.values()), write(kept), pid=running.pid)

    def _end(self, pid: int, code: int, finished_ns: int) -> bool:
        running = self._alive.pop(pid, None)
        if running is None:
            return False
        self._dead.append(running.streams)
        # First the status, then the end of the stream: whoever sees the end asks for the status at once.
        status = ExitRecord(code=code, finished_ns=finished_ns)
        if running.note:
            self._ended.append(KnownExec(id=running.id, pid=pid, note=running.note, status=status))
        self._on_exit(running.id, status)
        self._deposits.drop(f"exec {running.id}")
        if running.pidfd >= 0:
            os.close(running.pidfd)
        running.streams.finish()
        return True

    def _idle(self) -> None:
        self._dead = [streams for streams in self._dead if streams.has_clients]
        self._on_idle()
