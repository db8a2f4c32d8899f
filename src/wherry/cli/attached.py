"""A container or exec whose streams are this program's: signals, size of the terminal, keys, exit status."""

from __future__ import annotations

import sys

from wherry.cli import signals, terminal
from wherry.cli.errors import CommandError
from wherry.cli.streams import Demultiplexer, Pump, raw_output
from wherry.client.errors import ApiError, ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.cli.session import Session
    from wherry.client.call import Call
    from wherry.client.http import Connection

NOT_FOUND_STATUS, NOT_EXECUTABLE_STATUS, FAILED_STATUS = 127, 126, 125
DETACHED = "read escape sequence"


def check_terminal(*, stdin: bool, tty: bool) -> None:
    """Raise CommandError when a terminal is wanted for an input that is none."""
    if stdin and tty and not terminal.is_terminal(0):
        raise CommandError("the input device is not a TTY")


def keys_of(session: Session, chosen: str) -> str:
    """The detach keys to send to the daemon: the flag's, config.json's, or "" for the usual ones."""
    text = chosen or str(session.settings.get("detachKeys") or "")
    terminal.detach_keys(text or terminal.DETACH_KEYS)
    return text


class Attachment:
    """What one attached session is, besides its connection.

    `resize` makes the call that tells rows and columns; `kill` the call that forwards a signal, or None when
    signals are this program's own business. Set, `redraws` makes the program draw its screen at the start.
    """

    def __init__(
        self,
        session: Session,
        *,
        tty: bool,
        stdin: bool,
        detach_keys: str,
        resize: Callable[[int, int], Call],
        kill: Callable[[str], Call] | None,
        outputs: tuple[bool, bool] = (True, True),
    ) -> None:
        self._session = session
        self._tty = tty
        self._stdin = stdin
        self._detach_keys = detach_keys or terminal.DETACH_KEYS
        self._resize = resize
        self._kill = kill
        self._outputs = outputs
        self.redraws = False

    def run(self, connection: Connection, started: Callable[[], None] | None = None) -> bool:
        """Copy streams until the other side ends; False when the user detached.

        `started` is called when signals are watched and before anything is copied: there the container is started.
        """
        wanted = set(signals.FORWARDED if self._kill is not None and not self._tty else ())
        wanted |= {signals.SIGWINCH} if self._tty else set()
        with signals.Watch(wanted) as watch, terminal.Raw(0 if self._tty and self._stdin else -1):
            if started is not None:
                started()
            self._tell_size()
            keys = terminal.Keys(terminal.detach_keys(self._detach_keys)) if self._tty else None
            feed = raw_output if self._tty else Demultiplexer(stdout=self._outputs[0], stderr=self._outputs[1]).feed
            pump = Pump(connection, feed, stdin=self._stdin, keys=keys, watch=watch, on_signal=self._on_signal)
            try:
                return pump.run()
            finally:
                connection.wire.close()

    def _on_signal(self, number: int) -> None:
        if number == signals.SIGWINCH and self._tty:
            self._tell_size()
        elif self._kill is not None:
            self._quietly(self._kill(signals.name(number)))

    def _tell_size(self) -> None:
        if not self._tty:
            return
        rows, columns = terminal.size(sys.stdout.fileno())
        if rows and columns and self.redraws:
            # A program draws its screen again when the size changes; here it must, for a screen that knows nothing.
            self._quietly(self._resize(rows + 1, columns + 1))
            self.redraws = False
        if rows and columns:
            self._quietly(self._resize(rows, columns))

    def _quietly(self, call: Call) -> None:
        """Send what has no effect on a container that has ended meanwhile."""
        try:
            self._session.client.send(call).read()
        except ClientError:
            pass


def start_status(error: ApiError) -> int:
    """The exit status for a container that could not be started, told by the message as docker does."""
    text = error.message
    if "executable file not found" in text or "no such file or directory" in text:
        return NOT_FOUND_STATUS
    if "permission denied" in text or "is a directory" in text:
        return NOT_EXECUTABLE_STATUS
    return FAILED_STATUS


def status_of(answer: dict[str, Any] | None) -> int:
    """The exit status in a wait call's answer. Raises CommandError for the daemon's failure to wait."""
    if not answer:
        return FAILED_STATUS
    error = answer.get("Error") or {}
    if error.get("Message"):
        raise CommandError(f"Error waiting for container: {error['Message']}", status=FAILED_STATUS)
    return int(answer["StatusCode"])
