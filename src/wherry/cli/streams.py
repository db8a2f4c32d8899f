"""Between a hijacked connection and this program's standard streams, in one loop without threads.

Both directions must move at once: a container that echoes stops reading when nobody takes what it writes.
"""

from __future__ import annotations

import os
from select import POLLIN, POLLOUT, poll

from wherry.cli.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.cli.signals import Watch
    from wherry.cli.terminal import Keys
    from wherry.client.http import Connection

PIECE = 32768
FRAME_HEAD = 8
STDIN, STDOUT, STDERR = 0, 1, 2
SYSTEM_ERROR = 3


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, waiting as long as it takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody made our terminal non-blocking
            waiting = poll()
            waiting.register(descriptor, POLLOUT)
            waiting.poll()


class Demultiplexer:
    """Splits frames (stream number, three zero bytes, length, data) onto standard output and error stream."""

    def __init__(self, *, stdout: bool = True, stderr: bool = True) -> None:
        self._rest = b""
        self._wanted = {1: stdout, 2: stderr}

    def feed(self, data: bytes) -> None:
        """Write the whole frames that `data` completes. Raises CommandError for an error of the daemon's."""
        data = self._rest + data
        at = 0
        out: list[bytes] = []
        last = 0
        while len(data) - at >= FRAME_HEAD:
            end = at + FRAME_HEAD + int.from_bytes(data[at + 4 : at + 8], "big")
            if end > len(data):
                break
            if data[at] != last:
                self._write(last, out)
                last, out = data[at], []
            out.append(data[at + FRAME_HEAD : end])
            at = end
        self._rest = data[at:]
        self._write(last, out)

    def _write(self, stream: int, pieces: list[bytes]) -> None:
        if not pieces:
            return
        data = b"".join(pieces)
        if stream == SYSTEM_ERROR:
            raise CommandError(f"error from daemon in stream: {data.decode('utf-8', 'replace')}")
        if stream not in (0, 1, 2):
            raise CommandError(f"Unrecognized input header: {stream}")
        if self._wanted.get(stream, True):
            write_all(STDERR if stream == 2 else STDOUT, data)


def raw_output(data: bytes) -> None:
    """What a terminal's stream is: bytes for standard output."""
    write_all(STDOUT, data)


def copy_out(pieces: Iterable[bytes], *, tty: bool) -> None:
    """Write a body, framed unless it is a terminal's."""
    feed = raw_output if tty else Demultiplexer().feed
    for piece in pieces:
        feed(piece)


class Pump:
    """One attached session: what comes goes to `feed`, standard input goes there.

    `keys` looks for the detach sequence; `on_signal` is told the numbers that `watch` saw.
    """

    def __init__(
        self,
        connection: Connection,
        feed: Callable[[bytes], None],
        *,
        stdin: bool,
        keys: Keys | None = None,
        watch: Watch | None = None,
        on_signal: Callable[[int], None] | None = None,
    ) -> None:
        self._wire = connection.wire
        self._first = connection.leftover()
        self._feed = feed
        self._keys = keys
        self._watch = watch
        self._on_signal = on_signal
        self._reads_stdin = stdin
        self._unsent = b""
        self._closing = not stdin
        self._poller = poll()

    def run(self) -> bool:
        """Copy until the other side ends. False when the user typed the detach sequence."""
        if self._first:
            self._feed(self._first)
        if self._closing:
            self._wire.half_close()
        if self._watch is not None:
            self._poller.register(self._watch.fileno(), POLLIN)
        while True:
            self._register()
            for descriptor, events in self._poller.poll():
                if self._watch is not None and descriptor == self._watch.fileno():
                    self._signals(self._watch)
                elif descriptor == self._wire.fileno():
                    if not self._network(events):
                        return True
                elif not self._typed():
                    return False

    def _register(self) -> None:
        pending = bool(self._unsent) or not self._wire.flushed()
        self._poller.register(self._wire.fileno(), POLLIN | (POLLOUT if pending else 0))
        # Nothing more is read while something waits to be sent: the user's pipe is the buffer.
        if self._reads_stdin and not pending:
            self._poller.register(STDIN, POLLIN)
        else:
            self._forget_stdin()

    def _forget_stdin(self) -> None:
        try:
            self._poller.unregister(STDIN)
        except KeyError:
            pass  # it was not waited for

    def _signals(self, watch: Watch) -> None:
        for number in watch.read():
            if self._on_signal is not None:
                self._on_signal(number)

    def _network(self, events: int) -> bool:
        """Read and send what goes; False at the end."""
        if events & ~POLLOUT:
            try:
                data = self._wire.recv_some()
            except ConnectionResetError:
                data = b""
            if data == b"":
                return False
            if data:
                self._feed(data)
        if self._unsent and events & POLLOUT:
            self._send()
        return True

    def _typed(self) -> bool:
        """Read what was typed; False when it was the detach sequence."""
        try:
            data = os.read(STDIN, PIECE)
        except OSError:
            data = b""  # a terminal that has gone, or a descriptor that never was
        detach = False
        if not data:
            self._reads_stdin = False
            self._forget_stdin()
            self._closing = True
        elif self._keys is not None:
            data, detach = self._keys.passed(data)
        self._unsent += data
        self._send()
        return not detach

    def _send(self) -> None:
        try:
            while self._unsent and (sent := self._wire.send_some(self._unsent)):
                self._unsent = self._unsent[sent:]
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = b""  # nobody listens any more; what was said before is still to be read
            self._reads_stdin = False
            self._forget_stdin()
        if self._closing and not self._unsent:
            self._wire.half_close()
            self._closing = False
