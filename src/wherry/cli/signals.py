"""Signals as bytes on a descriptor, so that one poll loop sees them beside data."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self
else:
    # `signal` wraps this module in enums, which cost each `run` 4 ms.
    import _signal as signal

SIGWINCH = int(signal.SIGWINCH)
# Second names of signals that have another.
_SECOND_NAMES = ("SIGCLD", "SIGIOT", "SIGPOLL")

# Those that tell about this process alone, that cannot be caught, or that are faults of the program itself.
_OWN = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG,
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT,
}  # fmt: skip
FORWARDED: frozenset[int] = frozenset(
    int(number) for number in signal.valid_signals() if number not in _OWN and number < signal.SIGRTMIN
)


def name(number: int) -> str:
    """A signal's name without SIG, or its number."""
    for known in dir(signal):
        is_signal = known.startswith("SIG") and not known.startswith("SIG_") and known not in _SECOND_NAMES
        if is_signal and getattr(signal, known) == number:
            return known.removeprefix("SIG")
    return str(number)


class Watch:
    """Within it the `wanted` signals do nothing but appear in `read`."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self._wanted = list(wanted)
        self._before: dict[int, Any] = {}
        self._reading = self._writing = self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in self._wanted:
            self._before[number] = signal.signal(number, _nothing)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, where: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._reading

    def read(self) -> bytes:
        """The numbers of the signals that came, one a byte."""
        try:
            return os.read(self._reading, 512)
        except BlockingIOError:
            return b""


def _nothing(*_: object) -> None:
    """A handler: the wake-up descriptor already has the number."""
