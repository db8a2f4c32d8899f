"""Being told when memory runs out in a container: one epoll(7) descriptor for all of them.

On cgroup v1 an eventfd counts the times, on v2 the file memory.events has news (POLLPRI): see `Cgroup.oom_fd`.
"""

import asyncio
import os
import select
from collections.abc import Callable

from wherry.libcontainer import cgroups

_EVENTS = {1: select.EPOLLIN, 2: select.EPOLLPRI}
_READ_BYTES = 4096


class Watched:
    """A container's memory cgroup. `kills` are those that were told."""

    def __init__(self, cgroup: cgroups.Cgroup, on_out: Callable[[], None]) -> None:
        """Take the cgroup over; `MemoryWatch` is who calls `on_out`. Raises OSError."""
        self.cgroup = cgroup
        self.fd = cgroup.oom_fd()
        self.on_out = on_out
        self.kills = 0

    def ran_out(self) -> bool:
        """Whether there is something to tell. Raises OSError when the cgroup is going."""
        kills, before = self.cgroup.oom_kills(), self.kills
        self.kills = kills
        # With its killer disabled nobody is killed on v1, but memory did run out; there the descriptor tells of
        # nothing else but that and the group's end.
        return kills > before or self.cgroup.version == 1

    def close(self) -> None:
        """Let go of the descriptors."""
        os.close(self.fd)
        self.cgroup.close()


class MemoryWatch:
    """All that are watched, from `add` to `remove`. For one event loop."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._poll: select.epoll | None = None
        self._watched: dict[int, Watched] = {}

    def open(self) -> None:
        """Get ready; once, before all else. Raises OSError."""
        self._poll = select.epoll()
        asyncio.get_running_loop().add_reader(self._poll.fileno(), self._look)

    def add(self, cgroups_path: str, on_out: Callable[[], None], *, told: bool) -> Watched:
        """Watch one more; gives what `remove` takes. Raises OSError where it cannot be watched.

        Unless `told`, what happened before is told soon.
        """
        assert self._poll is not None
        cgroup = cgroups.open_existing(cgroups_path)
        try:
            watched = Watched(cgroup, on_out)
        except OSError:
            cgroup.close()
            raise
        self._watched[watched.fd] = watched
        self._poll.register(watched.fd, _EVENTS[cgroup.version])
        watched.kills = cgroup.oom_kills()
        if watched.kills and not told:
            asyncio.get_running_loop().call_soon(on_out)
        return watched

    def remove(self, watched: Watched | None) -> None:
        """Watch it no more; again is fine."""
        if self._poll is not None and watched is not None and self._watched.get(watched.fd) is watched:
            del self._watched[watched.fd]
            self._poll.unregister(watched.fd)
            watched.close()

    def close(self) -> None:
        """Watch nothing any more."""
        for watched in list(self._watched.values()):
            self.remove(watched)
        if self._poll is not None:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None

    def _look(self) -> None:
        assert self._poll is not None
        for fd, _ in self._poll.poll(0):
            watched = self._watched.get(fd)
            if watched is None:
                continue
            try:
                _read(fd, watched.cgroup.version)
                ran_out = watched.ran_out()
            except OSError:
                self.remove(watched)  # the cgroup is gone, and so is the container
                continue
            if ran_out:
                watched.on_out()


def _read(fd: int, version: int) -> None:
    """Take note of the news, so that only later ones are told again."""
    if version == 1:
        os.read(fd, _READ_BYTES)
    else:
        os.pread(fd, _READ_BYTES, 0)
