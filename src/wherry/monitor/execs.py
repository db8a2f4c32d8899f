"""Further processes in a running container, each with streams of its own."""

import os
import socket
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from wherry.libcontainer.enter import enter
from wherry.linux import terminal
from wherry.monitor.container import Container
from wherry.monitor.loop import Loop
from wherry.monitor.messages import Exec, ExitRecord, Plan
from wherry.monitor.stdio import open_stdio
from wherry.monitor.streams import Streams


class Running(Struct):
    """An exec whose process lives."""

    id: str
    pid: int
    streams: Streams


class Execs:
    """The execs of one container: alive by pid, and those that are dead but have clients to serve still."""

    def __init__(
        self,
        loop: Loop,
        plan: Plan,
        *,
        on_exit: Callable[[str, ExitRecord], None],
        on_idle: Callable[[], None],
    ) -> None:
        """Begin with none."""
        self._loop = loop
        self._plan = plan
        self._on_exit = on_exit
        self._on_idle = on_idle
        self._alive: dict[int, Running] = {}
        self._dead: list[Streams] = []

    @property
    def pids(self) -> dict[str, int]:
        """Of those that live, by id."""
        return {running.id: pid for pid, running in self._alive.items()}

    @property
    def has_clients(self) -> bool:
        """Whether a client of a dead one is still to get something."""
        return any(streams.has_clients for streams in self._dead)

    def start(self, container: Container, request: Exec, client: socket.socket | None) -> int:
        """Enter the container; the new process's pid. Raises BirthError, OSError, ValueError."""
        if container.cgroup and container.cgroup.is_frozen():
            # It would be frozen on its way in, and we would wait for it for ever.
            raise ValueError(f"container {self._plan.id} is paused")
        described = request.process
        own = self._plan.spec.process
        if own and not described.rlimits:  # as runc: the container's own limits, unless said otherwise
            described = msgspec.structs.replace(described, rlimits=own.rlimits)
        with open_stdio(terminal=described.terminal, open_stdin=request.open_stdin, outlive=False) as pipes:
            child = enter(
                container.pidfd,
                self._plan.spec,
                described,
                pipes.child,
                cgroup=container.cgroup,
                seccomp_program=self._plan.seccomp,
                seccomp_flags=self._plan.seccomp_flags,
                container_id=self._plan.id,
            )
            ends = pipes.take(child.terminal)
        os.close(child.pidfd)  # it is reaped by its pid, at once
        if child.terminal is not None and any(request.terminal_size):
            terminal.set_size(child.terminal, height=request.terminal_size[0], width=request.terminal_size[1])
        streams = Streams(self._loop, ends, stdin_once=True, on_idle=self._idle)
        self._alive[child.pid] = Running(request.id, child.pid, streams)
        if client is not None and request.session:
            streams.attach(client, request.session)
        return child.pid

    def resize(self, exec_id: str, *, height: int, width: int) -> None:
        """Set the size of an exec's terminal. Raises ProcessLookupError, OSError."""
        for running in self._alive.values():
            if running.id == exec_id:
                running.streams.resize(height=height, width=width)
                return
        raise ProcessLookupError(f"no exec {exec_id} is running")

    def died(self, pid: int, code: int) -> bool:
        """A child was reaped; whether it was one of ours."""
        running = self._alive.pop(pid, None)
        if running is None:
            return False
        self._dead.append(running.streams)
        # First the status, then the end of the stream: whoever sees the end asks for the status at once.
        self._on_exit(running.id, ExitRecord(code=code, finished_ns=time.time_ns()))
        running.streams.finish()
        return True

    def _idle(self) -> None:
        self._dead = [streams for streams in self._dead if streams.has_clients]
        self._on_idle()
