"""Birth: a plan goes in, a process that runs the user's program comes out.

One clone3(2) makes the process with all its namespaces; the child does the rest itself (see `init`) and reports on
one line. What the parent must do for it (id maps, limits, hooks of the host) it does when asked on that line.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack

from msgspec import Struct

from wherry.libcontainer import cgroupfs, cgroups, channel, devices, hooks, identity, idmap, init, namespaces, procfs
from wherry.libcontainer.channel import Channel, Message
from wherry.libcontainer.errors import BirthError, InvalidSpec, at
from wherry.libcontainer.init import Womb
from wherry.libcontainer.plan import Plan, Stdio
from wherry.libcontainer.validate import validate
from wherry.linux import prctl, process, signals
from wherry.linux.capability import last_capability

__all__ = ("BirthError", "Child", "Plan", "Stdio", "spawn")


class Child(Struct):
    """A process that was born: the caller reaps it by `pidfd` and closes the descriptors.

    `terminal` is the master of its pty, close-on-exec. `warnings` are what could not be done and was left out.
    """

    pid: int
    pidfd: int
    terminal: int | None = None
    warnings: list[str] = []
    line: Channel | None = None
    plan: Plan | None = None

    def release(self) -> None:
        """Let a process that waits for its start execute the program. Raises BirthError; it is reaped then."""
        if self.line is None or self.plan is None:
            raise InvalidSpec("this process does not wait for a start")
        line, plan = self.line, self.plan
        try:
            line.go()
            attend(self, line, lambda: plan)
        finally:
            line.close()


def spawn(plan: Plan, stdio: Stdio) -> Child:
    """Make a container's first process; returns once execve(2) happened, or it waits for its start.

    0, 1 and 2 must be open in the caller, which must be single-threaded. Raises BirthError; nothing is left then.
    """
    with ExitStack() as opened:
        line, theirs = channel.pair()
        opened.callback(line.close)
        opened.callback(theirs.close)
        womb = prepare(plan, stdio, theirs, opened)
        child = _deliver(womb, line)
        theirs.close()
        attend(child, line, lambda: plan)
        if child.line is not None:
            opened.pop_all()  # it is still spoken to
        return child


def prepare(plan: Plan, stdio: Stdio, line: Channel, undo: ExitStack) -> Womb:
    """Open what only the host's side can open. Raises BirthError."""
    try:
        validate(plan.spec, has_netns=plan.netns_fd is not None)
    except InvalidSpec as error:
        raise at("", error) from None
    last_capability()  # asked once here, remembered by every child
    signals.ignored()
    layout = namespaces.lay_out(plan.spec, plan.netns_fd, undo)
    own: dict[str, int] = {}
    cgroup_plan = None
    if any(mount.type in ("cgroup", "cgroup2") for mount in plan.spec.mounts):
        cgroup_plan = cgroups.mount_plan()
        if not layout.late & namespaces.FLAGS["cgroup"]:
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
        channel=line,
        cgroup_plan=cgroup_plan,
        own_groups=own,
        host_devices=host_devices,
    )


def _close_later(fds: dict[str, int], undo: ExitStack) -> None:
    for fd in fds.values():
        undo.callback(os.close, fd)


def _deliver(womb: Womb, ours: Channel) -> Child:
    """Clone the process, and give it the id maps that only its parent may write."""
    cgroup_fd = womb.plan.cgroup.clone_fd if womb.plan.cgroup else None
    if womb.layout.needs_midwife:
        child = _by_midwife(womb, ours, cgroup_fd)
    else:
        try:
            pid, pidfd = process.clone3(womb.layout.new, cgroup_fd=cgroup_fd)
        except OSError as error:
            raise at("unable to clone", error) from None
        if pid == 0:
            ours.close()
            init.run(womb, joined=False)
        child = Child(pid, pidfd)
    try:
        if womb.layout.maps_ids:
            map_ids(child, womb.plan, is_new=womb.layout.has_new_user)
        if womb.layout.has_new_user or womb.layout.needs_midwife:
            ours.go()
    except OSError as error:
        end(child)
        raise at("unable to map ids", error) from None
    return child


def map_ids(child: Child, plan: Plan, *, is_new: bool) -> None:
    """Write the id maps of a new user namespace, and the file that mapped ids may not write. Raises OSError."""
    linux, described = plan.spec.linux, plan.spec.process
    if is_new and linux is not None:
        idmap.write_maps(child.pid, linux.uid_mappings, linux.gid_mappings)
    if described is not None:
        _set_oom_score(child, described.oom_score_adj)


def _set_oom_score(child: Child, score: int | None) -> None:
    proc_fd = procfs.open_procfs()
    try:
        warning = identity.set_oom_score(proc_fd, str(child.pid), score)
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


def attend(child: Child, line: Channel, plan: Callable[[], Plan]) -> None:
    """Do what the child asks for, until it executes or waits. On failure it is killed and reaped."""
    try:
        waiting = _converse(child, line, plan)
    except BaseException:
        end(child)
        raise
    child.line = child.plan = None
    if waiting and plan().start_fds is None:
        child.line, child.plan = line, plan()
    else:
        line.close()


def _converse(child: Child, line: Channel, plan: Callable[[], Plan]) -> bool:
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
                _serve(child, line, plan, message)


def _serve(child: Child, line: Channel, plan: Callable[[], Plan], message: Message) -> None:
    match message.kind:
        case channel.TERMINAL:
            child.terminal = message.fd
        case channel.WARNING:
            child.warnings.append(message.data.decode())
        case channel.LIMITS:
            described = plan().spec.process
            identity.set_limits(described.rlimits if described else (), child.pid)
            line.go()
        case channel.HOOKS:
            _run_hooks(child, plan())
            line.go()


def _run_hooks(child: Child, plan: Plan) -> None:
    asked = plan.spec.hooks
    if not asked:
        return
    state = hooks.state_of(plan.id, "creating", child.pid, plan.bundle, plan.spec.annotations)

    def run() -> None:
        hooks.run("prestart", asked.prestart, state)
        hooks.run("createRuntime", asked.create_runtime, state)

    if plan.host_mounts_fd is None:
        run()
    else:
        hooks.elsewhere(plan.host_mounts_fd, plan.bundle, run)


def end(child: Child) -> None:
    """Kill and reap a child whose birth failed."""
    process.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    process.wait(child.pidfd)
    os.close(child.pidfd)
    if child.terminal is not None:
        os.close(child.terminal)
