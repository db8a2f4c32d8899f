"""Pipes for a process's standard streams, or a terminal's master."""

import os
from typing import Self

from wherry.libcontainer.birth import Stdio
from wherry.monitor.streams import Ends

_NOTHING = Stdio(stdin=-1, stdout=-1, stderr=-1)


class Streams:
    """Both sides of a process's streams while it is being made; a context that closes what was not taken."""

    def __init__(self, child: Stdio, ours: dict[str, int]) -> None:
        """Hold both sides."""
        self.child = child
        self._ours = ours

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in {self.child.stdin, self.child.stdout, self.child.stderr, *self._ours.values()}:
            if fd >= 0:
                os.close(fd)
        self._ours = {}

    def keep_ours(self) -> None:
        """Close the other side, once its process has it."""
        for fd in {self.child.stdin, self.child.stdout, self.child.stderr}:
            if fd >= 0:
                os.close(fd)
        self.child = _NOTHING

    def keep_theirs(self) -> None:
        """In that process: close our side."""
        for fd in self._ours.values():
            os.close(fd)
        self._ours = {}

    def drop(self, name: str) -> None:
        """Close one of ours."""
        os.close(self._ours.pop(name))

    def take(self, terminal: int | None) -> Ends:
        """Our side, for good."""
        ends = Ends(**self._ours) if terminal is None else Ends(terminal=terminal)
        self._ours = {}
        return ends


def open_stdio(*, terminal: bool, open_stdin: bool, outlive: bool) -> Streams:
    """Streams for a process. Without `open_stdin` it reads from /dev/null.

    To `outlive` us, its output pipes are given open for reading too: should their reader be killed, the process
    neither gets SIGPIPE nor loses what it has written, until another monitor reads on. Raises OSError.
    """
    if terminal:
        return Streams(_NOTHING, {})
    stdin, ours_in = os.pipe2(os.O_CLOEXEC) if open_stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1)
    ours_out, stdout = _output_pipe(outlive=outlive)
    ours_err, stderr = _output_pipe(outlive=outlive)
    ours = {"stdout": ours_out, "stderr": ours_err}
    if ours_in >= 0:
        ours["stdin"] = ours_in
    return Streams(Stdio(stdin=stdin, stdout=stdout, stderr=stderr), ours)


def _output_pipe(*, outlive: bool) -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if not outlive:
        return reading, writing
    both = os.open(f"/proc/self/fd/{writing}", os.O_RDWR | os.O_CLOEXEC)
    os.close(writing)
    return reading, both
