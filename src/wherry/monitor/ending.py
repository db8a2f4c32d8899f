"""How the end of a process is heard of that is not our child: from the keeper, or else from the kernel."""

import os
import time
from collections.abc import Callable

from wherry.monitor.loop import READ, Loop

UNKNOWN = 255
"""The code when nobody can tell any more, as dockerd has it."""


class Ending:
    """Waits for one process. `status_fd` and `pidfd` are -1 where there is none; the former is closed after use.

    `ask` tells the exit code of a dead one, if it can; `on_end` gets the code and when that was, in ns since the epoch.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        status_fd: int,
        pidfd: int,
        ask: Callable[[], int | None],
        on_end: Callable[[int, int], object],
    ) -> None:
        """Watch nothing yet."""
        self._loop = loop
        self._status_fd = status_fd
        self._pidfd = pidfd
        self._ask = ask
        self._on_end = on_end

    def begin(self) -> None:
        """Watch. The end may be told before this returns."""
        if self._status_fd >= 0:
            self._loop.watch(self._status_fd, READ, self._hear_keeper)
        else:
            self._watch_process()

    def _hear_keeper(self, _: int) -> None:
        """It is the parent and tells the status; or it is not, or was killed, and says nothing."""
        said = os.read(self._status_fd, 64)
        self._loop.forget(self._status_fd)
        os.close(self._status_fd)
        if said:
            code, finished_ns = said.split()
            self._on_end(int(code), int(finished_ns))
        else:
            self._watch_process()

    def _watch_process(self) -> None:
        if self._pidfd < 0:
            self._tell()
        else:
            self._loop.watch(self._pidfd, READ, self._hear_kernel)

    def _hear_kernel(self, _: int) -> None:
        self._loop.forget(self._pidfd)
        self._tell()

    def _tell(self) -> None:
        code = self._ask()
        self._on_end(UNKNOWN if code is None else code, time.time_ns())
