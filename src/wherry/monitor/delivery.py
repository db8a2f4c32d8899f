"""A container on its way: from an order to the execution of the user's program.

Three processes have a part in it, so that each does what it does best. The nursery, where all code and data are warm,
opens everything before it forks the monitor, and makes the cgroup after that. The monitor clones the container's
first process at once, and gets ready to serve while that one puts its root together. The process waits for its cgroup
before it goes on: nothing of the user's runs before all is written down.
"""

import os
import time
from contextlib import ExitStack, closing
from typing import Self

from msgspec import Struct

from wherry.libcontainer import birth, cgroups
from wherry.linux import terminal
from wherry.monitor import identity, rundir
from wherry.monitor.container import Container, remember, remove_cgroup
from wherry.monitor.messages import Plan
from wherry.monitor.stdio import open_stdio

_NO_CGROUP = "cgroup"


class BirthPlace(Struct, frozen=True):
    """Descriptors that go into a new container."""

    rootfs: int
    mounts: tuple[tuple[str, int], ...]
    netns: int | None

    def close(self) -> None:
        """Close them."""
        for fd in (self.rootfs, *(fd for _, fd in self.mounts), self.netns):
            if fd is not None:
                os.close(fd)


class Delivery:
    """What the nursery has made ready. `listener` is where the monitor is to listen."""

    def __init__(self, directory: int, plan: Plan, place: BirthPlace) -> None:
        """In the nursery, before the fork. Raises BirthError, OSError, ValueError; nothing is left then."""
        self._directory = directory
        self._plan = plan
        self._place = place
        self._cgroup: cgroups.Cgroup | None = None
        self._upcoming: cgroups.Beginning | None = None
        with ExitStack() as undo:
            undo.callback(self._remove_cgroup)
            self._begin_cgroup()
            described = plan.spec.process
            has_terminal = bool(described and described.terminal)
            self._streams = undo.enter_context(
                open_stdio(terminal=has_terminal, open_stdin=plan.open_stdin, outlive=True)
            )
            self._birth = birth.Birth(self._birth_plan(), self._streams.child)
            undo.callback(self._birth.close)
            # Before anything of the user's can run: whoever finds it without a monitor needs this.
            rundir.save(directory, rundir.PLAN, plan)
            self.listener = undo.enter_context(rundir.listen(directory))
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def give_cgroup(self) -> None:
        """In the nursery, after the fork: make the cgroup, unless it is there, and let go of what is the monitor's."""
        # First: when the process and its monitor are gone, nobody else may seem to listen.
        self._birth.stand_aside()
        try:
            if self._upcoming is not None:
                self._make_cgroup(self._upcoming)
        finally:
            if self._cgroup is not None:
                self._cgroup.close()
            self._let_go()
            self.listener.close()

    def abandon(self) -> None:
        """In the nursery, when there is no monitor after all."""
        self._undo.close()

    def begin(self) -> None:
        """In the monitor: the first process is there when this returns. Raises BirthError; nothing is left then."""
        with closing(self._place), ExitStack() as undo:
            undo.push(self)
            self._birth.begin()
            undo.pop_all()

    def finish(self) -> Container:
        """In the monitor: the program runs, and the runtime directory says so. Raises BirthError, OSError."""
        try:
            child = self._birth.finish()
        except birth.BirthError as error:
            if error.stage == _NO_CGROUP and self._upcoming is not None:
                self._upcoming.let_go()
                self._upcoming = None  # there is none to remove, or it is another's
            raise
        ends = self._streams.take(child.terminal)
        cgroup = self._upcoming.cgroup if self._upcoming else self._cgroup
        ticks = identity.start_ticks(child.pid) or 0
        container = Container(child.pid, child.pidfd, ends, cgroup, time.time_ns(), ticks)
        size = self._plan.terminal_size
        if child.terminal is not None and any(size):
            terminal.set_size(child.terminal, height=size[0], width=size[1])
        remember(self._directory, container)
        self._undo.pop_all()
        self._let_go()
        return container

    def _let_go(self) -> None:
        """Close what is of no more use, once there are others who have it."""
        if self._upcoming is not None:
            self._upcoming.let_go()
        self._birth.close()
        self._streams.__exit__()

    def _begin_cgroup(self) -> None:
        linux = self._plan.spec.linux
        if not linux or not linux.cgroups_path:
            return
        if birth.may_get_cgroup_later(self._plan.spec):
            self._upcoming = cgroups.begin(linux.cgroups_path, self._plan.id)
        if self._upcoming is None:
            self._cgroup = cgroups.create(linux.cgroups_path, self._plan.id)
            self._limit(self._cgroup)

    def _make_cgroup(self, upcoming: cgroups.Beginning) -> None:
        """Make what follows; the monitor hears of failure through the process, which waits for it."""
        stage = _NO_CGROUP
        try:
            self._cgroup = upcoming.finish()
            stage = "limit cgroup"
            self._limit(self._cgroup)
            self._birth.give(self._cgroup)
        except (OSError, ValueError) as error:
            number = (error.errno or 0) if isinstance(error, OSError) else 0
            try:
                self._birth.refuse(birth.BirthError(stage, number, "", str(error), 128))
            except OSError:  # there is no monitor any more to clean up
                remove_cgroup(self._cgroup)
                self._cgroup = None

    def _limit(self, cgroup: cgroups.Cgroup) -> None:
        linux = self._plan.spec.linux
        if linux and linux.resources:
            cgroup.apply(linux.resources)

    def _remove_cgroup(self) -> None:
        """All of it: the nursery gives a cgroup only while somebody listens, and takes it back otherwise."""
        if self._upcoming is not None:
            self._upcoming.let_go()
            remove_cgroup(self._upcoming.cgroup)
        remove_cgroup(self._cgroup)

    def _birth_plan(self) -> birth.Plan:
        upcoming = self._upcoming
        return birth.Plan(
            id=self._plan.id,
            spec=self._plan.spec,
            rootfs_fd=self._place.rootfs,
            mounts=self._place.mounts,
            netns_fd=self._place.netns,
            cgroup=self._cgroup,
            cgroup_follows=upcoming is not None,
            clone_fd=upcoming.clone_fd if upcoming else None,
            seccomp_program=self._plan.seccomp,
            seccomp_flags=self._plan.seccomp_flags,
        )
