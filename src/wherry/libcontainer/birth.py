"""Birth: a plan goes in, a process that runs the user's program comes out.

One clone3(2) makes the process with all its namespaces; the child does the rest itself (see `init`) and reports on
one line. What the parent must do for it (id maps, limits, hooks of the host) it does when asked on that line.
"""

import os
import signal
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from wherry.libcontainer import cgroupfs, cgroups, channel, devices, hooks, identity, idmap, init, namespaces, procfs
from wherry.libcontainer.cgroups import Cgroup
from wherry.libcontainer.channel import Channel, Message
from wherry.libcontainer.errors import BirthError, InvalidSpec, at
from wherry.libcontainer.init import Womb
from wherry.libcontainer.plan import Plan, Stdio
from wherry.libcontainer.validate import validate
from wherry.linux import prctl, process, signals
from wherry.linux.capability import last_capability
from wherry.oci.runtime import Spec

__all__ = ("Birth", "BirthError", "Child", "Plan", "Stdio", "may_get_cgroup_later", "spawn")


@dataclass(slots=True)
class Child:
    """A process that was born: the caller reaps it by `pidfd` and closes the descriptors.

    `terminal` is the master of its pty, close-on-exec. `warnings` are what could not be done and was left out.
    """

    pid: int
    pidfd: int
    terminal: int | None = None
    warnings: list[str] = field(default_factory=list)
    line: Channel | None = None
    womb: Womb | None = None

    def release(self) -> None:
        """Let a process that waits for its start execute the program. Raises BirthError; it is reaped then."""
        if self.line is None or self.womb is None:
            raise InvalidSpec("this process does not wait for a start")
        line, womb = self.line, self.womb
        try:
            line.go()
            _attend(self, line, womb)
        finally:
            line.close()


class Birth:
    """A birth that is prepared: all that it needs of the host is open, and one process is to begin it.

    That may be a fork of the one that prepared it, which then can give the cgroup, and has to let go of the rest.
    """

    def __init__(self, plan: Plan, stdio: Stdio) -> None:
        """Open everything. Raises BirthError."""
        try:
            validate(plan.spec, has_netns=plan.netns_fd is not None)
        except InvalidSpec as error:
            raise at("", error) from None
        self._child: Child | None = None
        with ExitStack() as opened:
            self._line, theirs = channel.pair()
            # The cgroup comes on a line of its own: should its giver be killed, its end is what the child hears.
            self._giver, taker = channel.pair()
            for end_ in (self._line, theirs, self._giver, taker):
                opened.callback(end_.close)
            self._womb = _prepare(plan, stdio, theirs, taker, opened)
            self._opened = opened.pop_all()

    def begin(self) -> None:
        """Clone the process, which puts its root together while the caller does other things. Raises BirthError.

        From here on it is another process that can `give`.
        """
        self._child = _deliver(self._womb, self._line, self._giver)
        self._womb.channel.close()
        self._womb.gift.close()
        self._giver.close()

    def stand_aside(self) -> None:
        """In a process that is not to begin it, but only to give: let go of all but that."""
        self._line.close()
        self._womb.channel.close()
        self._womb.gift.close()

    def give(self, cgroup: Cgroup) -> None:
        """Hand over the cgroup that the plan says would follow; the child joins it then. Raises BirthError."""
        try:
            tasks = cgroup.tasks_fds
            own = cgroupfs.open_own_groups(cgroup, self._womb.cgroup_plan)
            try:
                self._giver.send_fds(channel.CGROUP, (*tasks, *own.values()), bytes([len(tasks)]))
            finally:
                for fd in own.values():
                    os.close(fd)
        except OSError as error:
            raise at("error handing the cgroup over", error) from None

    def refuse(self, error: BirthError) -> None:
        """Say why there will be no cgroup: `finish` raises that. Raises OSError when nobody listens any more."""
        self._giver.send(channel.FAILED, channel.failure_bytes(error))

    def finish(self) -> Child:
        """Return once execve(2) happened, or the process waits for its start. Raises BirthError; it is gone then."""
        assert self._child is not None
        child, self._child = self._child, None
        _attend(child, self._line, self._womb)
        if child.line is not None:
            self._opened.pop_all()  # it is still spoken to
        return child

    def close(self) -> None:
        """Let go of everything, and end a process that was begun and not finished."""
        self._opened.close()
        if self._child is not None:
            end(self._child)


def may_get_cgroup_later(spec: Spec) -> bool:
    """Whether a birth may begin before its cgroup is there, with `cgroup_follows`.

    Not where a cgroup namespace is to be made in it, or mapped ids or a midwife come first, nor with hooks.
    """
    found = namespaces.kinds(spec)
    return not (found.keys() & {"cgroup", "user"} or found.get("pid") or spec.hooks)


def spawn(plan: Plan, stdio: Stdio) -> Child:
    """Make a container's first process; returns once execve(2) happened, or it waits for its start.

    0, 1 and 2 must be open in the caller, which must be single-threaded. Raises BirthError; nothing is left then.
    """
    with closing(Birth(plan, stdio)) as birth:
        birth.begin()
        return birth.finish()


def _prepare(plan: Plan, stdio: Stdio, theirs: Channel, taker: Channel, undo: ExitStack) -> Womb:
    """Open what only the host's side can open."""
    last_capability()  # asked once here, remembered by every child
    signals.ignored()
    layout = namespaces.lay_out(plan.spec, plan.netns_fd, undo)
    own: dict[str, int] = {}
    cgroup_plan = None
    if any(mount.type in ("cgroup", "cgroup2") for mount in plan.spec.mounts):
        cgroup_plan = cgroups.mount_plan()
        if not (layout.late & namespaces.FLAGS["cgroup"] or plan.cgroup_follows):
            own = cgroupfs.open_own_groups(plan.cgroup, cgroup_plan)
            _close_later(own, undo)
    host_devices: dict[str, int] = {}
    if layout.maps_ids and devices.needs_setup(plan.spec.mounts):
        host_devices = devices.open_host_devices(devices.wanted(plan.spec))
        _close_later(host_devices, undo)
    assert plan.spec.process is not None
    return Womb(
        plan=plan,
        process=plan.spec.process,
        stdio=stdio,
        layout=layout,
        channel=theirs,
        gift=taker,
        cgroup_plan=cgroup_plan,
        own_groups=own,
        host_devices=host_devices,
    )


def _close_later(fds: dict[str, int], undo: ExitStack) -> None:
    for fd in fds.values():
        undo.callback(os.close, fd)


def _deliver(womb: Womb, ours: Channel, giver: Channel) -> Child:
    """Clone the process, and give it the id maps that only its parent may write."""
    cgroup_fd = womb.plan.cgroup.clone_fd if womb.plan.cgroup else womb.plan.clone_fd
    if womb.layout.needs_midwife:
        child = _by_midwife(womb, ours, cgroup_fd)
    else:
        try:
            pid, pidfd = process.clone3(womb.layout.new, cgroup_fd=cgroup_fd)
        except OSError as error:
            raise at("unable to clone", error) from None
        if pid == 0:
            ours.close()
            giver.close()
            init.run(womb, joined=False)
        child = Child(pid, pidfd)
    try:
        if womb.layout.has_new_user:
            idmap.write_maps(child.pid, womb.linux.uid_mappings, womb.linux.gid_mappings)
        if womb.layout.maps_ids:
            _set_oom_score(child, womb)
        if womb.layout.has_new_user or womb.layout.needs_midwife:
            ours.go()
    except OSError as error:
        end(child)
        raise at("unable to map ids", error) from None
    return child


def _set_oom_score(child: Child, womb: Womb) -> None:
    """For a process whose mapped ids may not write that file themselves."""
    proc_fd = procfs.open_procfs()
    try:
        warning = identity.set_oom_score(proc_fd, str(child.pid), womb.process.oom_score_adj)
    finally:
        os.close(proc_fd)
    child.warnings += [warning] if warning else []


def _by_midwife(womb: Womb, ours: Channel, cgroup_fd: int | None) -> Child:
    """Birth inside namespaces that exist: another process joins them and has the child in our name."""
    midwife, pidfd = process.clone3(0, cgroup_fd=cgroup_fd)
    if midwife == 0:
        ours.close()
        _assist(womb)
    womb.channel.close()
    message = ours.receive()
    process.wait(pidfd)
    os.close(pidfd)
    if message is None:
        raise BirthError("clone", 3, "", "unable to clone: the process that joins the namespaces was killed")
    if message.kind == channel.FAILED:
        raise channel.failure_from(message.data)
    pid = channel.pid_from(message.data)
    # Our own child that we have not reaped: the pid cannot be another's.
    return Child(pid, process.pidfd_open(pid))


def _assist(womb: Womb) -> None:
    try:
        prctl.set_dumpable(on=False)
        cgroup = womb.plan.cgroup
        if cgroup is not None:
            cgroup.join_self()
        namespaces.join(womb.layout)
        pid, _ = process.clone3(womb.layout.new, sibling=True)
        if pid == 0:
            init.run(womb, joined=True)
        womb.channel.send(channel.BORN, channel.pid_bytes(pid))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        init.fail(womb.channel, error)
    os._exit(0)


def _attend(child: Child, line: Channel, womb: Womb) -> None:
    """Do what the child asks for, until it executes or waits. On failure it is killed and reaped."""
    try:
        waiting = _converse(child, line, womb)
    except BaseException:
        end(child)
        raise
    child.line = child.womb = None
    if waiting and womb.plan.start_fds is None:
        child.line, child.womb = line, womb
    else:
        line.close()


def _converse(child: Child, line: Channel, womb: Womb) -> bool:
    """Answer until it executes (False) or waits for its start (True). Raises BirthError."""
    executing = False
    while True:
        message = line.receive()
        if message is None:
            if executing:
                return False
            raise BirthError("init", 3, "", "container init was killed before it could execute the program")
        match message.kind:
            case channel.EXECUTING:
                executing = True
            case channel.WAITING:
                return True
            case channel.FAILED:
                raise channel.failure_from(message.data)
            case _:
                _serve(child, line, womb, message)


def _serve(child: Child, line: Channel, womb: Womb, message: Message) -> None:
    match message.kind:
        case channel.TERMINAL:
            child.terminal = message.fd
        case channel.WARNING:
            child.warnings.append(message.data.decode())
        case channel.LIMITS:
            identity.set_limits(womb.process.rlimits, child.pid)
            line.go()
        case channel.HOOKS:
            plan = womb.plan
            state = hooks.state_of(plan.id, "creating", child.pid, plan.bundle, plan.spec.annotations)
            hooks.run("prestart", womb.hooks.prestart, state)
            hooks.run("createRuntime", womb.hooks.create_runtime, state)
            line.go()


def end(child: Child) -> None:
    """Kill and reap a child whose birth failed."""
    process.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    process.wait(child.pidfd)
    os.close(child.pidfd)
    if child.terminal is not None:
        os.close(child.terminal)
