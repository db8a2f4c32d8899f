"""A container on its way: from an order to the execution of the user's program, as its monitor sees it.

Two processes share the work. The midwife, which has copied its pages ahead, writes down what another monitor would
need, makes the control groups and becomes the container's first process. The monitor touches as little as it can, as
what it touches stays its own, and gets ready to serve meanwhile.
"""

import os
import time
from contextlib import ExitStack
from typing import Self

from wherry.libcontainer import becoming, birth, cgroups
from wherry.linux import terminal
from wherry.monitor import bundle, identity
from wherry.monitor.bundle import Shown
from wherry.monitor.container import Container, remember, remove_cgroup
from wherry.monitor.messages import Charge
from wherry.monitor.stdio import Streams


class Delivery:
    """A context: what is not finished when it is left is undone."""

    def __init__(
        self, directory: int, charge: Charge, expected: becoming.Expectation, streams: Streams, shown: Shown | None
    ) -> None:
        """Take over what belongs to it."""
        self._shown = shown
        self._directory = directory
        self._charge = charge
        self._expected = expected
        self._streams = streams
        self._has_cgroup = True
        self._is_over = False
        self._undo = ExitStack()
        if shown:
            self._undo.callback(os.close, shown.mounts_fd)
        self._undo.callback(self._remove_cgroup)
        self._undo.enter_context(streams)
        self._undo.callback(self._give_up)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def finish(self) -> Container:
        """The program runs when this returns, and the runtime directory says so. Raises BirthError, OSError."""
        self._is_over = True
        try:
            child = self._expected.finish()
        except birth.BirthError as error:
            # It could not be made, and nothing is left of it; or it is another's.
            self._has_cgroup = error.stage != becoming.NO_CGROUP
            raise
        self._undo.callback(birth.end, child)
        ends = self._streams.take(child.terminal)
        ticks = identity.start_ticks(child.pid) or 0
        path = self._charge.cgroups_path
        container = Container(child.pid, child.pidfd, ends, path, time.time_ns(), ticks)
        size = self._charge.terminal_size
        if child.terminal is not None and any(size):
            terminal.set_size(child.terminal, height=size[0], width=size[1])
        remember(self._directory, container)
        if self._shown:
            bundle.show_running(self._directory, child.pid)
        self._undo.pop_all()
        if self._shown:
            os.close(self._shown.mounts_fd)
        return container

    def _give_up(self) -> None:
        if not self._is_over:
            self._expected.give_up()

    def _remove_cgroup(self) -> None:
        if self._has_cgroup and self._charge.cgroups_path:
            try:
                remove_cgroup(cgroups.open_existing(self._charge.cgroups_path))
            except FileNotFoundError:
                return  # it was not made yet
