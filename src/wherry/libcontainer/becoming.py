"""Birth without a copy: a process that was made ahead becomes the container's first one (see `linux.rebirth`).

It makes its cgroup itself. Its parent hears what a parent hears in any birth, on a line that is laid before.
"""

import errno
import gc
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import msgspec

from wherry.libcontainer import birth, cgroups, channel, init, namespaces
from wherry.libcontainer.birth import Child, Plan, Stdio
from wherry.libcontainer.cgroups import Cgroup
from wherry.libcontainer.channel import Channel
from wherry.libcontainer.errors import BirthError, at
from wherry.libcontainer.init import Womb
from wherry.linux import prctl, process, rebirth
from wherry.oci.runtime import Resources

NO_CGROUP = "cgroup"
"""The stage of a birth that fails because the cgroup cannot be made: none is left then, or it is another's."""
_EXIT_CODE = 128
_GO, _NEW_USER, _MAPS_IDS = 1, 2, 4


def become(plan: Plan, resources: Resources | None, stdio: Stdio, line: Channel, cgroups_path: str) -> NoReturn:
    """Become the container's first process, as a child of the caller's parent. Never returns.

    The caller is single-threaded and has 0, 1 and 2 open; it is dead by SIGKILL when the new process goes on.
    """
    gc.disable()
    try:
        if cgroups_path:
            plan = msgspec.structs.replace(plan, cgroup=_make_cgroup(cgroups_path, plan.id, resources))
        womb = birth.prepare(plan, stdio, line, ExitStack())
        pid = _go_on(womb)
        line.send(channel.BORN, channel.pid_bytes(pid) + bytes([_wants(womb)]))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        fail(line, error)
    init.run(womb, joined=womb.layout.needs_midwife)


def fail(line: Channel, error: BaseException) -> NoReturn:
    """Tell the parent why there is no birth, and end."""
    init.fail(line, error)
    os._exit(1)


def _make_cgroup(path: str, container_id: str, resources: Resources | None) -> Cgroup:
    stage = NO_CGROUP
    try:
        cgroup = cgroups.create(path, container_id)
        stage = "limit cgroup"
        if resources:
            cgroup.apply(resources)
    except (OSError, ValueError) as error:
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        raise BirthError(stage, number, "", str(error), _EXIT_CODE) from None
    return cgroup


def _go_on(womb: Womb) -> int:
    layout, cgroup = womb.layout, womb.plan.cgroup
    ready = rebirth.Rebirth()
    if layout.needs_midwife:
        prctl.set_dumpable(on=False)
        if cgroup is not None:
            cgroup.join_self()
        namespaces.join(layout)
    try:
        return ready.go_on(layout.new, cgroup_fd=cgroup.clone_fd if cgroup else None)
    except OSError as error:
        raise at("unable to clone", error) from None


def _wants(womb: Womb) -> int:
    layout = womb.layout
    waits = _GO if layout.has_new_user or layout.needs_midwife else 0
    return waits | (_NEW_USER if layout.has_new_user else 0) | (_MAPS_IDS if layout.maps_ids else 0)


class Expectation:
    """The parent's side. `midwife` is the pidfd of the process that is to become the container's first one.

    `plan` tells what it is to be, and is asked only where a parent has to know. `on_born` gets the new process's pid
    before anything is done for it; an OSError of that ends the process.
    """

    def __init__(
        self, plan: Callable[[], Plan], line: Channel, midwife: int, on_born: Callable[[int], None] | None = None
    ) -> None:
        """Take over the parent's end of the line, and the pidfd."""
        self._plan = plan
        self._on_born = on_born
        self._line = line
        self._midwife = midwife

    def finish(self) -> Child:
        """Return once execve(2) happened. Raises BirthError; nothing is left then."""
        try:
            child = self._await_birth()
            birth.attend(child, self._line, self._plan)
        finally:
            self._line.close()
            self._reap_midwife()
        return child

    def give_up(self) -> None:
        """End it, whatever it is by now. Not to be called after `finish`."""
        process.pidfd_send_signal(self._midwife, signal.SIGKILL)
        while message := self._line.receive():
            if message.kind == channel.BORN:
                birth.end(self._child(message.data))
        self._line.close()
        self._reap_midwife()

    def _await_birth(self) -> Child:
        message = self._line.receive()
        if message is None:
            raise BirthError("clone", errno.ESRCH, "", "unable to clone: the process to be reborn was killed")
        if message.kind == channel.FAILED:
            raise channel.failure_from(message.data)
        child = self._child(message.data)
        try:
            if self._on_born:
                self._on_born(child.pid)
            self._map_ids(child, message.data[-1])
        except OSError as error:
            birth.end(child)
            raise at("", error) from None
        return child

    def _map_ids(self, child: Child, wants: int) -> None:
        try:
            if wants & _MAPS_IDS:
                birth.map_ids(child, self._plan(), is_new=bool(wants & _NEW_USER))
            if wants & _GO:
                self._line.go()
        except OSError as error:
            raise at("unable to map ids", error) from None

    def _child(self, data: bytes) -> Child:
        pid = channel.pid_from(data[:-1])
        # Our own child that we have not reaped: the pid cannot be another's.
        return Child(pid, process.pidfd_open(pid))

    def _reap_midwife(self) -> None:
        process.wait(self._midwife)
        os.close(self._midwife)
