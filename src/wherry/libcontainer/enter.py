"""A further process in a running container.

Two processes make it. The first is never in the container's pid namespace, so nobody inside can see it: it joins the
cgroups and all namespaces, then gives up capabilities, ids and descriptors. The second is the first one reborn inside
(see `linux.rebirth`), as the caller's own child, and has nothing left to do but to execute: what a hostile container
can reach of it holds no more than the container has already (CVE-2016-9962, CVE-2019-5736).
"""

import gc
import os
from contextlib import ExitStack
from typing import NoReturn

from msgspec import Struct

from wherry.libcontainer import channel, devices, execution, identity, procfs, program
from wherry.libcontainer.birth import Child, end
from wherry.libcontainer.cgroups import Cgroup
from wherry.libcontainer.channel import Channel
from wherry.libcontainer.errors import BirthError, InvalidSpec, at
from wherry.libcontainer.init import fail
from wherry.libcontainer.plan import Stdio
from wherry.libcontainer.validate import validate_process
from wherry.linux import credentials, namespaces, prctl, process, rebirth, signals
from wherry.linux import personality as kernel_personality
from wherry.linux.capability import last_capability
from wherry.oci.runtime import Process, Spec


class _Visit(Struct, frozen=True, kw_only=True):
    """What the two processes need to know."""

    target: int
    kinds: int
    spec: Spec
    process: Process
    stdio: Stdio
    channel: Channel
    cgroup: Cgroup | None
    seccomp_program: bytes
    seccomp_flags: int
    container_id: str
    preserve_fds: int

    @property
    def is_mapped(self) -> bool:
        """Whether the container has a user namespace of its own."""
        return bool(self.kinds & namespaces.CLONE_NEWUSER)


def enter(  # noqa: PLR0913 - all of it is needed, and most has a default
    target_pidfd: int,
    spec: Spec,
    process_spec: Process,
    stdio: Stdio,
    *,
    cgroup: Cgroup | None,
    seccomp_program: bytes = b"",
    seccomp_flags: int = 0,
    container_id: str = "",
    preserve_fds: int = 0,
) -> Child:
    """Execute a program beside a container's first process; returns once execve(2) happened.

    `spec` is the container's own. The process is the caller's child, to be reaped at once when it ends: a zombie
    keeps its container from dying. As for `spawn`, 0, 1 and 2 must be open and the caller single-threaded.
    `container_id` names the session keyring. Raises BirthError.
    """
    try:
        validate_process(process_spec)
        kinds = namespaces.differing(process.pidfd_pid(target_pidfd))
    except (InvalidSpec, OSError) as error:
        raise at("", error) from None
    last_capability()
    signals.ignored()
    with ExitStack() as undo:
        ours, theirs = channel.pair()
        undo.callback(ours.close)
        undo.callback(theirs.close)
        visit = _Visit(
            target=target_pidfd,
            kinds=kinds,
            spec=spec,
            process=process_spec,
            stdio=stdio,
            channel=theirs,
            cgroup=cgroup,
            seccomp_program=seccomp_program,
            seccomp_flags=seccomp_flags,
            container_id=container_id,
            preserve_fds=preserve_fds,
        )
        return _send(visit, ours)


def _send(visit: _Visit, ours: Channel) -> Child:
    """Make the first process, hear what comes of it, and reap it."""
    try:
        pid, pidfd = process.clone3(0, cgroup_fd=visit.cgroup.clone_fd if visit.cgroup else None)
    except OSError as error:
        raise at("unable to clone", error) from None
    if pid == 0:
        ours.close()
        _go_in(visit)
    visit.channel.close()
    child = Child(0, -1)
    try:
        _listen(child, ours, visit, pid)
    except BaseException:
        if child.pid:
            end(child)
        elif child.terminal is not None:
            os.close(child.terminal)
        raise
    finally:
        process.wait(pidfd)
        os.close(pidfd)
    return child


def _listen(child: Child, line: Channel, visit: _Visit, outer_pid: int) -> None:
    """Hear both processes until the program runs. Raises BirthError."""
    executing = False
    while message := line.receive():
        match message.kind:
            case channel.BORN:
                child.pid = channel.pid_from(message.data)
                # Our own child that we have not reaped: the pid cannot be another's.
                child.pidfd = process.pidfd_open(child.pid)
            case channel.EXECUTING:
                executing = True
            case channel.TERMINAL:
                child.terminal = message.fd
            case channel.WARNING:
                child.warnings.append(message.data.decode())
            case channel.LIMITS:
                identity.set_limits(visit.process.rlimits, outer_pid)
                line.go()
            case channel.FAILED:
                raise channel.failure_from(message.data)
    if not (executing and child.pid):
        raise BirthError("exec", 3, "", "the process was killed before it could execute the program")


def _go_in(visit: _Visit) -> NoReturn:
    """The first process: join, give up everything, give birth."""
    gc.disable()
    try:
        prctl.set_dumpable(on=False)
        os.umask(0)
        if visit.cgroup is not None:
            visit.cgroup.join_self()
        ready = rebirth.Rebirth()
        _prepare(visit)
        root_fd, uid = os.open("/", os.O_PATH | os.O_CLOEXEC), visit.process.user.uid
        variables = program.environment(visit.process, lambda: identity.home_directory(root_fd, uid))
        _wire(visit, root_fd)
        execution.close_all_but({*visit.channel.fds, *ready.fds}, preserve_fds=visit.preserve_fds)
        _set_limits(visit)
        execution.restrict(visit.process, visit.seccomp_program, visit.seccomp_flags, ids_are_mapped=visit.is_mapped)
        prctl.set_dumpable(on=False)
        path = program.find(visit.process.args[0], variables.get("PATH", ""))
        # From here on inside, as the caller's own child; the process before is dead.
        visit.channel.send(channel.BORN, channel.pid_bytes(ready.go_on()))
        _execute(visit, path, variables)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        fail(visit.channel, error)
    os._exit(1)


def _prepare(visit: _Visit) -> None:
    """What is written through a procfs of ours before the container's is all there is, then the joining."""
    proc_fd = procfs.open_procfs()
    warning = identity.set_oom_score(proc_fd, str(os.getpid()), visit.process.oom_score_adj)
    if warning:
        visit.channel.send(channel.WARNING, warning.encode())
    identity.set_labels(proc_fd, visit.process)
    os.close(proc_fd)
    try:
        namespaces.setns(visit.target, visit.kinds)
    except OSError as error:
        raise at("unable to join the container's namespaces", error) from None
    if visit.is_mapped:
        credentials.set_gid(0)
        credentials.set_uid(0)
    identity.join_keyring(f"_ses.{visit.container_id}", ids_are_mapped=visit.is_mapped)
    linux = visit.spec.linux
    if linux is not None and linux.personality is not None:
        kernel_personality.set_domain(linux.personality["domain"])


def _set_limits(visit: _Visit) -> None:
    if not visit.is_mapped:
        identity.set_limits(visit.process.rlimits)
    elif visit.process.rlimits:
        visit.channel.send(channel.LIMITS)
        if not visit.channel.wait_for_go():
            os._exit(1)


def _wire(visit: _Visit, root_fd: int) -> None:
    if not visit.process.terminal:
        execution.wire(visit.stdio, preserve_fds=visit.preserve_fds)
        return
    master, peer = devices.open_terminal(root_fd)
    execution.hand_over(visit.channel, visit.process, master)
    execution.wire(Stdio(stdin=peer, stdout=peer, stderr=peer), preserve_fds=visit.preserve_fds)


def _execute(visit: _Visit, path: str, variables: dict[str, str]) -> None:
    """The second process: its own session, the filter, the program. Raises BirthError, OSError."""
    os.setsid()
    if visit.process.terminal:
        execution.take_terminal()
    if visit.process.no_new_privileges:
        execution.filter_calls(visit.seccomp_program, visit.seccomp_flags)
    visit.channel.send(channel.EXECUTING)
    signals.reset()
    program.execute(path, visit.process, variables)
