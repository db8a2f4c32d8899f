"""One client's connection: output is queued and sent as it takes it, input comes in, and its end is noticed.

The end of a client's input is not its end: the docker CLI half-closes at once when it has no input to give. A unix
socket reports a full close as a hang-up; a TCP peer that is gone is found by keepalive or by the next write.

A client that takes its output slowly slows the container down; one that takes nothing at all for a while is given a
file, so that the container goes on, and when that is full the container waits, as with dockerd.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Callable

from wherry.monitor.backlog import Backlog
from wherry.monitor.keys import DetachKeys
from wherry.monitor.loop import GONE, READ, WRITE, Loop
from wherry.monitor.messages import SessionPlan
from wherry.monitor.seats import Seat

# A client that takes nothing for so long has stalled: a pager that waits for a key, a terminal that was stopped.
_STALL_SECONDS = 0.2
_READ_BYTES = 65536
# So little goes into a socket's buffer whole or not at all.
_SENT_AT_ONCE_BYTES = 4096
# As Go's net package, which dockerd's listeners use.
_KEEPALIVE_SECONDS = 15
_KEEPALIVE_PROBES = 9
_HEADER = struct.Struct(">BxxxI")  # stream 1 or 2, length (API, "Stream format" of attach)


class Client:
    """A session's socket.

    `on_input` gets what it says, b"" at the end of that; `on_change` hears of a drained queue and of its own end,
    `on_detach` that its keys were pressed.
    `open_spill` gives a file for what a stalled client does not take, or raises OSError. With a key in its plan it is
    `held`: it gets nothing before `release`, because somebody else still speaks to it.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that the owner decides
        self,
        loop: Loop,
        connection: socket.socket,
        plan: SessionPlan,
        *,
        seat: Seat | None,
        open_spill: Callable[[], int],
        on_input: Callable[["Client", bytes], None],
        on_change: Callable[["Client"], None],
        on_detach: Callable[[], None] | None,
    ) -> None:
        """Take over the socket and watch it."""
        self._loop = loop
        self._socket = connection
        self._seat = seat
        self._framed = plan.framed
        self._wants = (plan.stdout, plan.stderr)
        self._keys = DetachKeys(plan.detach_keys)
        self._on_input = on_input
        self._on_change = on_change
        self._on_detach = on_detach
        self._backlog = Backlog(open_spill)
        self._taken = 0
        self._is_timed = False
        self._reading = plan.stdin
        self._input_waits = False
        self._ending = False
        self.key = plan.key
        self.is_held = bool(plan.key)
        self.is_open = True
        self.gives_input = plan.stdin
        connection.setblocking(False)
        _keep_alive(connection)
        self._watch()

    @property
    def is_full(self) -> bool:
        """Whether it has to take some output before it gets more."""
        return self._backlog.is_full

    def is_at(self, connection: socket.socket) -> bool:
        """Whether it is served at that connection, of which there may be several descriptors."""
        return self.is_open and os.path.sameopenfile(self._socket.fileno(), connection.fileno())

    def send(self, stream: int, data: bytes) -> None:
        """Send output of stream 0 or 1, or queue what the client does not take now."""
        if not self.is_open or self._ending or not self._wants[stream]:
            return
        self._mark(busy=True)
        if self._framed:
            self._enqueue(_HEADER.pack(stream + 1, len(data)))
        self._enqueue(data)
        if self._backlog.pieces <= 2:  # else it is waiting for room already
            self._flush()
        if self.is_full and not self._is_timed:
            self._time(self._taken)

    def hold(self, *, on: bool) -> None:
        """Take no more input, because the process has not taken all of it; or, when off, take it again."""
        self._input_waits = on
        self._reading = self.gives_input and not on
        self._watch()

    def release(self) -> None:
        """Let it have what came since it was let in."""
        self.is_held = False
        self._flush()

    def end(self) -> None:
        """Close as soon as all is sent."""
        self._ending = True
        self.gives_input = self._reading = False
        self._flush()

    def close(self) -> None:
        """Close now."""
        if self.is_open:
            self.is_open = False
            self._backlog.clear()
            self._loop.forget(self._socket.fileno())
            # The keeper may have it a little longer, but the client is to see the end now.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            if self._seat:
                self._seat.leave()
            self._socket.close()
            self._on_change(self)

    def _enqueue(self, data: bytes) -> None:
        self._backlog.add(data)

    def _time(self, taken: int) -> None:
        self._is_timed = True
        self._loop.later(_STALL_SECONDS, lambda: self._look_again(taken))

    def _look_again(self, taken: int) -> None:
        self._is_timed = False
        if not self.is_open or not self.is_full or self._backlog.is_spilling:
            return
        if taken != self._taken:
            self._time(self._taken)
            return
        with contextlib.suppress(OSError):  # no log, no room: the container waits for this client
            self._backlog.spill()
            self._on_change(self)

    def _handle(self, events: int) -> None:
        if events & READ and self._reading:
            self._read()
        elif events & GONE and self.gives_input:
            self._hear_only()
        elif events & GONE:
            self._vanish()
        if events & WRITE and self.is_open:
            self._flush()

    def _read(self) -> None:
        self._mark(busy=True)
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            self._watch()
            return
        except OSError:
            self._vanish()
            return
        if not data:
            self.gives_input = self._reading = False
            self._watch()
            self._on_input(self, b"")
            return
        data, detached = self._keys.feed(data)
        if data:
            self._on_input(self, data)
        if detached:
            if self._on_detach:
                self._on_detach()
            self.end()
        self._watch()

    def _hear_only(self) -> None:
        """It is gone, but said more than the process has taken so far: read on when there is room."""
        self._wants = (False, False)
        self._backlog.clear()
        self._loop.forget(self._socket.fileno())
        self._on_change(self)

    def _vanish(self) -> None:
        had_input, self.gives_input = self.gives_input, False
        self.close()
        if had_input:
            self._on_input(self, b"")

    def _flush(self) -> None:
        if not self.is_open or self.is_held:
            return
        was_full = self.is_full
        if self._backlog.memory_bytes <= _SENT_AT_ONCE_BYTES:
            # A kill during the call or just after it, when the client has answered already, finds nothing in hand.
            self._mark(busy=False)
        try:
            while self._backlog:
                count = self._socket.sendmsg(self._backlog.next_pieces(), [], socket.MSG_NOSIGNAL)
                self._taken += count
                self._backlog.take(count)
        except BlockingIOError:
            pass
        except OSError:
            self._vanish()
            return
        if self._ending and not self._backlog:
            self.close()
            return
        self._watch()
        if was_full and not self.is_full:
            self._on_change(self)

    def _watch(self) -> None:
        if self.is_open:
            events = (READ if self._reading else 0) | (WRITE if self._backlog and not self.is_held else 0)
            self._loop.watch(self._socket.fileno(), events, self._handle)
            self._mark(busy=bool(self._backlog) or (self._input_waits and self.gives_input))

    def _mark(self, *, busy: bool) -> None:
        if self._seat and not self.is_held:
            self._seat.mark(busy=busy)


def _keep_alive(connection: socket.socket) -> None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
