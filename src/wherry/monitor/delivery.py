"""A container from the clone of its first process to the execution of the user's program.

The process puts its root together while its monitor makes the cgroup, writes down what it must, and gets ready to
serve: `give_cgroup` is what the process waits for before it goes on, and nothing of the user's runs before that.
"""

import os
import time
from contextlib import ExitStack, closing
from typing import Self

from msgspec import Struct

from wherry.libcontainer import birth, cgroups
from wherry.linux import terminal
from wherry.monitor import identity
from wherry.monitor.container import Container, remember, remove_cgroup
from wherry.monitor.messages import Plan
from wherry.monitor.stdio import open_stdio


class BirthPlace(Struct, frozen=True):
    """Descriptors that go into a new container, closed when its process has them."""

    rootfs: int
    mounts: tuple[tuple[str, int], ...]
    netns: int | None

    def close(self) -> None:
        """Close them."""
        for fd in (self.rootfs, *(fd for _, fd in self.mounts), self.netns):
            if fd is not None:
                os.close(fd)


class Delivery:
    """A context: left by an error, nothing of the container is left behind."""

    def __init__(self, plan: Plan, place: BirthPlace) -> None:
        """Begin: the process is there when this returns. Raises BirthError, OSError, ValueError."""
        self._plan = plan
        self._cgroup: cgroups.Cgroup | None = None
        self._upcoming: cgroups.Beginning | None = None
        with closing(place), ExitStack() as undo:
            undo.callback(self._remove_cgroup)
            self._begin_cgroup()
            described = plan.spec.process
            has_terminal = bool(described and described.terminal)
            self._streams = undo.enter_context(
                open_stdio(terminal=has_terminal, open_stdin=plan.open_stdin, outlive=True)
            )
            self._birth = birth.begin(self._birth_plan(place), self._streams.child)
            undo.callback(self._birth.abandon)
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def give_cgroup(self) -> None:
        """Make the cgroup, unless that had to be done before, and let the process go on. Raises OSError, ValueError."""
        if self._upcoming is not None:
            self._cgroup, self._upcoming = self._upcoming.finish(), None
            self._limit()
            self._birth.give(self._cgroup)

    def finish(self, directory: int) -> Container:
        """Return once the program runs and is written down in the runtime directory. Raises BirthError, OSError."""
        child = self._birth.finish()
        ends = self._streams.take(child.terminal)
        ticks = identity.start_ticks(child.pid) or 0
        container = Container(child.pid, child.pidfd, ends, self._cgroup, time.time_ns(), ticks)
        size = self._plan.terminal_size
        if child.terminal is not None and any(size):
            terminal.set_size(child.terminal, height=size[0], width=size[1])
        remember(directory, container)
        with self._streams:
            self._undo.pop_all()
        return container

    def _begin_cgroup(self) -> None:
        linux = self._plan.spec.linux
        if not linux or not linux.cgroups_path:
            return
        if birth.may_get_cgroup_later(self._plan.spec):
            self._upcoming = cgroups.begin(linux.cgroups_path, self._plan.id)
        if self._upcoming is None:
            self._cgroup = cgroups.create(linux.cgroups_path, self._plan.id)
            self._limit()

    def _limit(self) -> None:
        linux = self._plan.spec.linux
        if self._cgroup is not None and linux and linux.resources:
            self._cgroup.apply(linux.resources)

    def _remove_cgroup(self) -> None:
        if self._upcoming is not None:
            self._upcoming.abandon()
        remove_cgroup(self._cgroup)

    def _birth_plan(self, place: BirthPlace) -> birth.Plan:
        upcoming = self._upcoming
        return birth.Plan(
            id=self._plan.id,
            spec=self._plan.spec,
            rootfs_fd=place.rootfs,
            mounts=place.mounts,
            netns_fd=place.netns,
            cgroup=self._cgroup,
            cgroup_follows=upcoming is not None,
            clone_fd=upcoming.clone_fd if upcoming else None,
            seccomp_program=self._plan.seccomp,
            seccomp_flags=self._plan.seccomp_flags,
        )
