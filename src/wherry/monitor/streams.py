"""A process's streams: its output goes to the log and to every client, its input comes from clients.

A client that does not take its output stops the container's, once a bounded queue and a bounded file are full: nothing
is lost and nothing grows. A client that is gone stops nobody.
"""

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable

import msgspec

from wherry.linux import terminal
from wherry.monitor.client import Client
from wherry.monitor.logwriter import LogWriter
from wherry.monitor.loop import GONE, READ, WRITE, Loop
from wherry.monitor.messages import Kept, SessionPlan
from wherry.monitor.seats import Row, Seat

STDOUT, STDERR = 0, 1
_READ_BYTES = 65536
# What a pipe can hold at most (/proc/sys/fs/pipe-max-size): after the last process is dead there is no more to come.
_DRAIN_BYTES_MAX = 1048576


class Ends:
    """The monitor's descriptors of a process's streams, each -1 when it has none; a terminal is all three in one."""

    __slots__ = ("stderr", "stdin", "stdout", "terminal")

    def __init__(self, *, stdin: int = -1, stdout: int = -1, stderr: int = -1, terminal: int = -1) -> None:
        """Make them non-blocking."""
        self.stdin, self.stdout, self.stderr, self.terminal = stdin, stdout, stderr, terminal
        for fd in (stdin, stdout, stderr, terminal):
            if fd >= 0:
                os.set_blocking(fd, False)

    def named(self) -> dict[str, int]:
        """Those that are open, by name, in the order of messages."""
        return {name: fd for name in ("terminal", "stdin", "stdout", "stderr") if (fd := getattr(self, name)) >= 0}


class Streams:
    """Moves the bytes of one process. The owner hears of a closed stdin, of detach keys, of the last client."""

    def __init__(  # noqa: PLR0913 - each is one thing that the owner decides
        self,
        loop: Loop,
        ends: Ends,
        *,
        seats: Row,
        open_spill: Callable[[], int],
        log: LogWriter | None = None,
        stdin_once: bool = False,
        on_stdin_closed: Callable[[], None] | None = None,
        on_idle: Callable[[], None] | None = None,
        on_detach: Callable[[], None] | None = None,
    ) -> None:
        """Take over the ends and watch them."""
        self._loop = loop
        self.ends = ends
        self._seats = seats
        self._open_spill = open_spill
        self._on_detach = on_detach
        self._log = log
        self._stdin_once = stdin_once
        self._on_stdin_closed = on_stdin_closed
        self._on_idle = on_idle
        self._clients: list[Client] = []
        self._input: deque[bytes] = deque()
        self._closing_stdin = False
        self._blocked = False
        self._finished = False
        self._watch_outputs()

    @property
    def has_clients(self) -> bool:
        """Whether anybody is still to get something."""
        return bool(self._clients)

    def attach(self, connection: socket.socket, plan: SessionPlan) -> int:
        """Let a client in; its socket is closed with its session. One that is there already is not doubled.

        One that is to be held begins with what the log has not got yet; the last stamp in that, 0 without a log.
        """
        if any(client.is_at(connection) for client in self._clients):
            connection.close()  # asked of a monitor that was killed before it could answer, and inherited from it
            return 0
        client = self._let_in(connection, plan, self._seats.take(connection, plan))
        if not client.is_held or not self._log:
            return 0
        line_ns, rests = self._log.draw_line()
        for stream, rest in enumerate(rests):
            if rest:
                client.send(stream, rest)
        return line_ns

    def release(self, key: str) -> None:
        """Let a client that was held have what came meanwhile. One that is gone is fine."""
        for client in [client for client in self._clients if client.key == key]:
            client.release()

    def drop_held(self) -> None:
        """Send those away whom nobody will release any more."""
        for client in [client for client in self._clients if client.is_held]:
            client.close()

    def attach_again(self, connection: socket.socket, kept: Kept) -> None:
        """Let a client in whose monitor was killed, or send it away when what it was sent has a gap."""
        assert kept.session is not None
        try:
            seat = self._seats.take_again(kept, connection)
        except ConnectionResetError:
            self._send_away(connection, kept.session)
        else:
            self._let_in(connection, msgspec.structs.replace(kept.session, key=""), seat)

    def send(self, stream: int, data: bytes) -> None:
        """Send output to every client."""
        for client in list(self._clients):
            client.send(stream, data)
        self._balance()

    def _let_in(self, connection: socket.socket, plan: SessionPlan, seat: Seat | None) -> Client:
        client = Client(
            self._loop,
            connection,
            plan,
            seat=seat,
            open_spill=self._open_spill,
            on_input=self._take_input,
            on_change=self._client_changed,
            on_detach=self._on_detach,
        )
        self._clients.append(client)
        if self._input:
            client.hold(on=True)
        if self._finished:
            client.end()
        return client

    def _send_away(self, connection: socket.socket, plan: SessionPlan) -> None:
        """As one that has vanished: what waits for the end of its input is told."""
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        if plan.stdin and self._stdin_once and self.ends.terminal < 0:
            self.close_stdin()

    def resize(self, *, height: int, width: int) -> None:
        """Set the terminal's size in characters. Raises OSError."""
        if self.ends.terminal >= 0:
            terminal.set_size(self.ends.terminal, height=height, width=width)

    def finish(self) -> None:
        """The process is dead: log and send what it left, close everything when the clients have it."""
        self._finished = True
        for fd, stream in self._outputs():
            self._drain(fd, stream)
        for stream in (STDOUT, STDERR):
            if self._log:
                self._log.end(stream)
        self._close_ends()
        for client in list(self._clients):
            client.end()
        self._told_idle()

    def _outputs(self) -> list[tuple[int, int]]:
        ends = self.ends
        found = [(ends.terminal, STDOUT), (ends.stdout, STDOUT), (ends.stderr, STDERR)]
        return [(fd, stream) for fd, stream in found if fd >= 0]

    def _watch_outputs(self) -> None:
        for fd, stream in self._outputs():
            handler = self._read_stderr if stream else self._read_stdout
            if fd == self.ends.terminal:
                self._loop.watch(fd, self._terminal_events(), self._handle_terminal)
            elif self._blocked:
                self._loop.forget(fd)
            else:
                self._loop.watch(fd, READ, handler)

    def _terminal_events(self) -> int:
        return (0 if self._blocked else READ) | (WRITE if self._input else 0)

    def _handle_terminal(self, events: int) -> None:
        if events & WRITE:
            self._write_input()
        if self._blocked and events & GONE:
            self._loop.forget(self.ends.terminal)  # a hang-up would be reported for ever; watched again when unblocked
        elif events & (READ | GONE) and self.ends.terminal >= 0:
            self._read(self.ends.terminal, STDOUT)

    def _read_stdout(self, _: int) -> None:
        self._read(self.ends.stdout, STDOUT)

    def _read_stderr(self, _: int) -> None:
        self._read(self.ends.stderr, STDERR)

    def _read(self, fd: int, stream: int) -> int:
        """Move one read's worth; how much it was, 0 at the stream's end or when there is nothing now."""
        try:
            data = self._log.read(fd, stream) if self._log else os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            self._end_output(fd)
            return 0
        self.send(stream, data)
        return len(data)

    def _drain(self, fd: int, stream: int) -> None:
        left = _DRAIN_BYTES_MAX
        while left > 0 and (count := self._read(fd, stream)):
            left -= count

    def _balance(self) -> None:
        """Stop reading output while a client is full."""
        blocked = any(client.is_full for client in self._clients)
        if blocked != self._blocked:
            self._blocked = blocked
            self._watch_outputs()

    def _end_output(self, fd: int) -> None:
        self._loop.forget(fd)
        os.close(fd)
        if fd == self.ends.terminal:
            self.ends.terminal = -1
        elif fd == self.ends.stdout:
            self.ends.stdout = -1
        else:
            self.ends.stderr = -1

    def _client_changed(self, client: Client) -> None:
        if not client.is_open and client in self._clients:
            self._clients.remove(client)
        if not self._finished:
            self._balance()
        self._told_idle()

    def _told_idle(self) -> None:
        if self._finished and not self._clients and self._on_idle:
            self._on_idle()

    def _take_input(self, client: Client, data: bytes) -> None:
        if data:
            self._input.append(data)
            self._write_input()
        elif self._stdin_once and self.ends.terminal < 0:
            self.close_stdin()
        else:
            # As dockerd (container/stream/attach.go): whose input has ended without closing stdin is done here.
            client.end()

    def close_stdin(self) -> None:
        """Let the process see the end of its input, after what it has not taken yet."""
        self._closing_stdin = True
        if not self._input and self.ends.stdin >= 0:
            self._loop.forget(self.ends.stdin)
            os.close(self.ends.stdin)
            self.ends.stdin = -1
            if self._on_stdin_closed:
                self._on_stdin_closed()

    def _handle_stdin(self, _: int) -> None:
        self._write_input()

    def _write_input(self) -> None:
        fd = self.ends.terminal if self.ends.terminal >= 0 else self.ends.stdin
        try:
            while self._input and fd >= 0:
                data = self._input[0]
                count = os.write(fd, data)
                if count < len(data):
                    self._input[0] = data[count:]
                else:
                    self._input.popleft()
        except BlockingIOError:
            pass
        except OSError:  # nobody reads it any more
            fd = -1
        if fd < 0:
            self._input.clear()
        self._watch_input()

    def _watch_input(self) -> None:
        waiting = bool(self._input)
        for client in self._clients:
            client.hold(on=waiting)
        if self.ends.terminal >= 0:
            self._loop.watch(self.ends.terminal, self._terminal_events(), self._handle_terminal)
        elif waiting and self.ends.stdin >= 0:
            self._loop.watch(self.ends.stdin, WRITE, self._handle_stdin)
        elif self.ends.stdin >= 0:
            self._loop.forget(self.ends.stdin)
        if self._closing_stdin and not waiting:
            self.close_stdin()

    def _close_ends(self) -> None:
        for name, fd in self.ends.named().items():
            self._loop.forget(fd)
            os.close(fd)
            setattr(self.ends, name, -1)
