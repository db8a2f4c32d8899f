"""The container's first process, from its clone to its execution of the user's program.

No thread, no import, no log: what goes wrong is said to the parent in one message, and the process is gone.
"""

import contextlib
import gc
import os
from typing import NoReturn

from msgspec import Struct

from wherry.libcontainer import (
    cgroupfs,
    channel,
    devices,
    execution,
    hooks,
    identity,
    inside,
    namespaces,
    procfs,
    program,
    rootfs,
)
from wherry.libcontainer.cgroups import MountPlan
from wherry.libcontainer.channel import Channel
from wherry.libcontainer.errors import BirthError, at
from wherry.libcontainer.mounts import is_made_inside
from wherry.libcontainer.namespaces import Layout
from wherry.libcontainer.plan import Plan, Stdio
from wherry.linux import credentials, files, netdevice, personality, prctl, signals, uts
from wherry.linux import namespaces as kernel
from wherry.oci.runtime import Hooks, Linux, Process

_NO_LINUX = Linux()
_NO_HOOKS = Hooks()


class Womb(Struct, frozen=True, kw_only=True):
    """What the parent has prepared: values and descriptors that the child only uses."""

    plan: Plan
    process: Process
    stdio: Stdio
    layout: Layout
    channel: Channel
    cgroup_plan: MountPlan | None = None
    own_groups: dict[str, int] = {}
    host_devices: dict[str, int] = {}

    @property
    def linux(self) -> Linux:
        """The spec's Linux section."""
        return self.plan.spec.linux or _NO_LINUX

    @property
    def hooks(self) -> Hooks:
        """The spec's hooks."""
        return self.plan.spec.hooks or _NO_HOOKS

    @property
    def where(self) -> str:
        """Where the root is attached before the pivot: hooks look for it at its own path, else any place will do."""
        root = self.plan.spec.root
        seen_by_hooks = self.hooks.prestart or self.hooks.create_runtime or self.hooks.create_container
        return root.path if seen_by_hooks and root is not None and root.path.startswith("/") else "/"


def run(womb: Womb, *, joined: bool) -> NoReturn:
    """Become the container. Never returns; `joined` when a midwife has done the joining."""
    gc.disable()
    try:
        _live(womb, joined=joined)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        fail(womb.channel, error)
    os._exit(1)


def fail(line: Channel, error: BaseException) -> None:
    """Tell the parent what went wrong, if it still listens."""
    with contextlib.suppress(OSError):
        line.send(channel.FAILED, channel.failure_bytes(at("", error)))


def _live(womb: Womb, *, joined: bool) -> None:
    plan, line = womb.plan, womb.channel
    os.setsid()
    os.umask(0)
    if plan.cgroup is not None and not joined:
        plan.cgroup.join_self()
    if (joined or womb.layout.has_new_user) and not line.wait_for_go():
        os._exit(1)
    _settle(womb, joined=joined)
    proc_fd = procfs.open_procfs()
    _set_clocks(womb, proc_fd)
    if not womb.layout.maps_ids:
        _set_oom_score(womb, proc_fd)
    late = _build_root(womb)
    peer = _open_terminal(womb) if womb.process.terminal else None
    _run_hooks(womb)
    rootfs.pivot(plan.rootfs_fd)
    _finish_root(womb, proc_fd, late)
    _execute(womb, proc_fd, peer)


def _settle(womb: Womb, *, joined: bool) -> None:
    """Be where the process belongs: ids, namespaces, keyring."""
    # Where ids are mapped the process's own files in /proc become unwritable for it once it is not dumpable.
    prctl.set_dumpable(on=womb.layout.maps_ids)
    if womb.layout.maps_ids:
        credentials.set_gid(0)
        credentials.set_uid(0)
    if not joined:
        namespaces.join(womb.layout)
    if womb.layout.new & kernel.CLONE_NEWNET:
        netdevice.set_up("lo")
    if womb.layout.late:
        kernel.unshare(womb.layout.late)
    if womb.plan.new_keyring:
        identity.join_keyring(f"_ses.{womb.plan.id}", ids_are_mapped=womb.layout.maps_ids)


def _set_oom_score(womb: Womb, proc_fd: int) -> None:
    warning = identity.set_oom_score(proc_fd, str(os.getpid()), womb.process.oom_score_adj)
    if warning:
        womb.channel.send(channel.WARNING, warning.encode())


def _set_clocks(womb: Womb, proc_fd: int) -> None:
    offsets = womb.linux.time_offsets
    if not offsets:
        return
    lines = "".join(f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in offsets.items())
    try:
        procfs.write_own(proc_fd, "timens_offsets", lines)
    except OSError as error:
        raise at("error setting time namespace offsets", error) from None
    _enter_time_namespace(proc_fd)


def _enter_time_namespace(proc_fd: int) -> None:
    """Its maker's children are born in it, but not every kernel's execve(2) moves the maker itself (6.1 does not)."""
    fd = os.open(f"{os.getpid()}/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    try:
        kernel.setns(fd, kernel.CLONE_NEWTIME)
    finally:
        os.close(fd)


def _build_root(womb: Womb) -> list[int]:
    """Attach the root and everything in it; the mounts to be sealed at the end come back."""
    plan = womb.plan
    rootfs.attach(plan.rootfs_fd, womb.where)
    late = _mount_all(womb)
    if devices.needs_setup(plan.spec.mounts):
        devices.make_devices(plan.rootfs_fd, devices.wanted(plan.spec), womb.host_devices)
        devices.make_links(plan.rootfs_fd)
    with contextlib.suppress(OSError):  # a file there or a read-only root: chdir(2) will tell better
        os.close(files.make_directory_inside(plan.rootfs_fd, womb.process.cwd))
    return late


def _mount_all(womb: Womb) -> list[int]:
    root_fd, late = womb.plan.rootfs_fd, []
    descriptors = _pair_up(womb.plan)
    for place, mount in enumerate(womb.plan.spec.mounts):
        if place in descriptors:
            rootfs.place(root_fd, mount, descriptors[place])
            continue
        if not is_made_inside(mount):
            raise BirthError("mount", 22, mount.destination, f"no descriptor came for the mount on {mount.destination}")
        if mount.type in ("cgroup", "cgroup2") and womb.cgroup_plan is not None:
            sealed = cgroupfs.mount_cgroups(root_fd, mount, womb.cgroup_plan, womb.own_groups)
        else:
            sealed = inside.mount_inside(root_fd, mount, womb.linux.mount_label)
        if sealed is not None:
            late.append(sealed)
    return late


def _pair_up(plan: Plan) -> dict[int, int]:
    """Which of the spec's mounts each descriptor is for; of two on one destination, one that is not made inside."""
    mounts, found = plan.spec.mounts, dict[int, int]()
    for destination, fd in plan.mounts:
        places = [
            place for place, mount in enumerate(mounts) if mount.destination == destination and place not in found
        ]
        if not places:
            raise BirthError("mount", 22, destination, f"the spec has no mount on {destination} for a descriptor")
        places.sort(key=lambda place: is_made_inside(mounts[place]))
        found[places[0]] = fd
    return found


def _open_terminal(womb: Womb) -> int:
    """A pty of the container's devpts, its end bound on /dev/console, its master handed to the parent."""
    master, peer = devices.open_terminal(womb.plan.rootfs_fd)
    devices.place_console(womb.plan.rootfs_fd, peer)
    execution.hand_over(womb.channel, womb.process, master)
    return peer


def _run_hooks(womb: Womb) -> None:
    if womb.hooks.prestart or womb.hooks.create_runtime:
        womb.channel.send(channel.HOOKS)
        if not womb.channel.wait_for_go():
            os._exit(1)
    if womb.hooks.create_container:
        os.fchdir(womb.plan.rootfs_fd)  # as runc has it; the pivot comes here next
        hooks.run("createContainer", womb.hooks.create_container, _state(womb, "creating"))


def _state(womb: Womb, status: str) -> bytes:
    plan = womb.plan
    return hooks.state_of(plan.id, status, os.getpid(), plan.bundle, plan.spec.annotations)


def _finish_root(womb: Womb, proc_fd: int, late: list[int]) -> None:
    plan, linux = womb.plan, womb.linux
    if plan.spec.hostname:
        uts.set_hostname(plan.spec.hostname)
    if plan.spec.domainname:
        uts.set_domainname(plan.spec.domainname)
    procfs.write_sysctls(proc_fd, linux.sysctl or {})
    rootfs.make_readonly(plan.rootfs_fd, linux.readonly_paths)
    rootfs.mask(plan.rootfs_fd, linux.masked_paths)
    for mount_fd in late:
        inside.seal(mount_fd)
    rootfs.finish(plan.rootfs_fd, plan.spec)
    if linux.personality is not None:
        personality.set_domain(linux.personality["domain"])


def _execute(womb: Womb, proc_fd: int, peer: int | None) -> None:
    plan, spec, line = womb.plan, womb.process, womb.channel
    variables = program.environment(spec, lambda: identity.home_directory(plan.rootfs_fd, spec.user.uid))
    identity.set_labels(proc_fd, spec)
    execution.wire(
        womb.stdio if peer is None else Stdio(stdin=peer, stdout=peer, stderr=peer), preserve_fds=plan.preserve_fds
    )
    if peer is not None:
        execution.take_terminal()
    execution.close_all_but({*line.fds, *(plan.start_fds or ())}, preserve_fds=plan.preserve_fds)
    _set_limits(womb)
    execution.restrict(spec, plan.seccomp_program, plan.seccomp_flags, ids_are_mapped=womb.layout.maps_ids)
    path = program.find(spec.args[0], variables.get("PATH", ""))
    if plan.wait_for_start:
        line = _wait_for_start(line, plan.start_fds)
    try:
        if spec.no_new_privileges:
            execution.filter_calls(plan.seccomp_program, plan.seccomp_flags)
        # Below the filter, as the image says what stands at a path in the container.
        if womb.hooks.start_container:
            hooks.run("startContainer", womb.hooks.start_container, _state(womb, "created"))
        line.send(channel.EXECUTING)
        signals.reset()
        program.execute(path, spec, variables)
    except BaseException as error:  # noqa: BLE001 - on a line that the caller does not know
        fail(line, error)
        os._exit(1)


def _set_limits(womb: Womb) -> None:
    if not womb.layout.maps_ids:
        identity.set_limits(womb.process.rlimits)
    elif womb.process.rlimits:
        # Raising one needs CAP_SYS_RESOURCE where the limits' owner lives: outside.
        womb.channel.send(channel.LIMITS)
        if not womb.channel.wait_for_go():
            os._exit(1)


def _wait_for_start(line: Channel, start_fds: tuple[int, int] | None) -> Channel:
    """Say that all is ready and wait for the word: on the same line, or on the one that was laid for it."""
    line.send(channel.WAITING)
    if start_fds is not None:
        line.close()
        line = Channel(*start_fds)
    if not line.wait_for_go():
        os._exit(1)
    return line
