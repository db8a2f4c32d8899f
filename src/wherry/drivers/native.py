"""The native driver: containers of our own libcontainer, each under a monitor that outlives the daemon."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import shutil
import signal
from collections.abc import Callable, Collection, Coroutine

import msgspec

from wherry.crashpoints import crash_point
from wherry.drivers import audit
from wherry.drivers.driver import Birth, ExitStatus, LogPlan, StartFailed
from wherry.drivers.keeper import Keeper
from wherry.drivers.nursery import Nursery, NurseryFailed
from wherry.drivers.opening import open_mounts
from wherry.drivers.process import NativeProcess, plan_of, status_of
from wherry.libcontainer import cgroups
from wherry.libcontainer.seccomp import compile_program, filter_flags
from wherry.model.clock import now_ns
from wherry.model.errors import EngineError, NotFound, Unavailable, Unsupported
from wherry.model.finding import Finding
from wherry.monitor import identity, messages, rundir, wire
from wherry.monitor.container import remove_cgroup
from wherry.monitor.ending import UNKNOWN
from wherry.oci.runtime import Rlimit, Seccomp, Spec

_LOG = logging.getLogger(__name__)
_LOG_DRIVERS = ("json-file", "none")
_PROGRAMS_MAX = 64
_MONITOR_TRIES = 10
_BIRTH_LOOKS = 1000
_BIRTH_LOOK_SECONDS = 0.01


class NativeDriver:
    """`wherry.drivers.driver.ExecDriver` over nursery and monitors.

    `nofile` are the soft and hard limits of open files that containers get when their spec says nothing: the
    daemon's own from before it raised them.
    """

    name = "native"

    def __init__(self, exec_root: str, *, nofile: tuple[int, int] | None = None) -> None:
        """Keep runtime directories under `exec_root`/containers."""
        self._root = os.path.join(exec_root, "containers")
        self._nofile = nofile
        self._keeper = Keeper(exec_root, self._keeper_replaced)
        self._nursery = Nursery(self._keeper)
        self._processes: dict[str, NativeProcess] = {}
        self._replacing: set[asyncio.Task[None]] = set()
        self._programs: dict[Seccomp, tuple[bytes, int]] = {}

    async def open(self) -> None:
        """Meet or start the keeper, start the nursery. Raises OSError."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        os.chmod(self._root, 0o700)
        self._keeper.open()
        self._nursery.open()

    async def close(self) -> None:
        """Let go of everything that is the daemon's; running containers stay."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await self._nursery.close()
        await self._keeper.close()

    async def start(self, birth: Birth) -> NativeProcess:
        """Make the container's process. Raises StartFailed, Unsupported, Unavailable; nothing is left behind then."""
        given = [birth.rootfs_fd, *(each.fd for each in birth.mounts)]
        given += [birth.netns_fd] if birth.netns_fd is not None else []
        try:
            opened = open_mounts(birth.spec.mounts, birth.mounts)
            given[1 : 1 + len(birth.mounts)] = [each.fd for each in opened]
            birth = dataclasses.replace(birth, mounts=opened)
            plan = await self._plan(birth)
            directory = self._fresh_directory(birth.id)
            crash_point("start.run-directory-made")
            process = NativeProcess(birth.id, directory, replace=self._replace)
            process.mounts_linger = birth.mounts_linger
            self._processes[birth.id] = process
            await self._bear(process, plan, birth, tuple(given))
        except BaseException as error:
            # A monitor that refuses has cleaned up; one that was killed has perhaps left its container.
            await self._undo(birth.id, is_orphaned=not isinstance(error, StartFailed))
            raise
        finally:
            wire.close_all((*given, *birth.held_fds))
            for session in birth.sessions:
                session.socket.close()
        return process

    async def adopt(self, container_id: str) -> NativeProcess | ExitStatus | None:
        """Meet a container again after the daemon's death: it lives, it died meanwhile, or nothing is known of it."""
        try:
            directory = os.open(self._path(container_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        process = NativeProcess(container_id, directory, replace=self._replace)
        try:
            await _birth_over(process)
            found = await self._meet(process)
        except BaseException:
            process.close()
            raise
        if isinstance(found, NativeProcess):
            self._processes[container_id] = process
        else:
            process.close()
        return found

    async def forget(self, container_id: str) -> None:
        """Remove what is kept about a dead container. Unknown ones are fine."""
        process = self._processes.pop(container_id, None)
        mounts = process.hand_over_mounts() if process else -1
        if process:
            process.close()
        path = self._path(container_id)
        if os.path.isdir(path) and (process is None or process.lost_monitor):
            self._keeper.drop(container_id)
        await asyncio.to_thread(_clear, path, mounts)

    async def sweep(self, known: Collection[str]) -> list[str]:
        """End and forget every container but the known ones."""
        unknown = sorted(set(os.listdir(self._root)).difference(known))
        for container_id in unknown:
            try:
                await self._end(container_id)
            except (OSError, EngineError, msgspec.DecodeError):
                _LOG.exception("what is left of container %s cannot be understood", container_id)
            await self.forget(container_id)
        return unknown

    async def _end(self, container_id: str) -> None:
        """Kill a container that a daemon of the past left."""
        found = await self.adopt(container_id)
        if isinstance(found, NativeProcess):
            await found.signal(signal.SIGKILL)
            await found.wait()

    async def audit(self, cgroup_parents: Collection[str]) -> list[Finding]:
        """See ExecDriver."""
        return await asyncio.to_thread(audit.audit, self._root, frozenset(self._processes), cgroup_parents)

    async def mend(self, finding: Finding) -> None:
        """See ExecDriver."""
        match finding.kind:
            case audit.CGROUP:
                await asyncio.to_thread(audit.remove_cgroup, finding.name)
            case audit.MONITOR:
                audit.kill_monitor(int(finding.name), self._root)
            case _:
                await self._end_stray(os.path.basename(finding.name))

    async def _end_stray(self, container_id: str) -> None:
        """Kill what runs, and forget it. Raises NotFound when it is known by now."""
        if container_id in self._processes:
            raise NotFound(f"container {container_id} is in use by now")
        await self._end(container_id)
        await self.forget(container_id)

    def _path(self, container_id: str) -> str:
        return os.path.join(self._root, container_id)

    def _fresh_directory(self, container_id: str) -> int:
        path = self._path(container_id)
        if os.path.isdir(path):
            shutil.rmtree(path)
        os.mkdir(path, 0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        rundir.begin_birth(directory)
        return directory

    async def _plan(self, birth: Birth) -> messages.Plan:
        spec = birth.spec
        if birth.log.driver not in _LOG_DRIVERS:
            raise Unsupported(f"log driver {birth.log.driver!r} is not served by the native driver")
        if spec.hooks:
            raise Unsupported("hooks of the runtime-spec are not served by the native driver")
        profile = spec.linux.seccomp if spec.linux else None
        program, flags = await self._program(profile) if profile else (b"", 0)
        return messages.Plan(
            id=birth.id,
            spec=self._with_limits(_without_filter(spec)),
            seccomp=program,
            seccomp_flags=flags,
            log=_log_plan(birth.log),
            open_stdin=birth.open_stdin,
            stdin_once=birth.stdin_once,
            terminal_size=birth.terminal_size,
        )

    async def _program(self, profile: Seccomp) -> tuple[bytes, int]:
        """A filter and its flags, compiled once per profile: it takes milliseconds. Raises StartFailed."""
        compiled = self._programs.get(profile)
        if compiled is None:
            try:
                compiled = await asyncio.to_thread(compile_program, profile), filter_flags(profile)
            except ValueError as error:
                raise StartFailed(str(error), 128) from None
            if len(self._programs) >= _PROGRAMS_MAX:
                self._programs.clear()
            self._programs[profile] = compiled
        return compiled

    def _with_limits(self, spec: Spec) -> Spec:
        described = spec.process
        if not self._nofile or not described or any(each.type == "RLIMIT_NOFILE" for each in described.rlimits):
            return spec
        soft, hard = self._nofile
        limit = Rlimit(type="RLIMIT_NOFILE", soft=soft, hard=hard)
        described = msgspec.structs.replace(described, rlimits=(*described.rlimits, limit))
        return msgspec.structs.replace(spec, process=described)

    async def _bear(self, process: NativeProcess, plan: messages.Plan, birth: Birth, given: tuple[int, ...]) -> None:
        def question(serial: int) -> messages.Start:
            return messages.Start(
                serial=serial,
                plan=plan,
                mounts=tuple(each.destination for each in birth.mounts),
                netns=birth.netns_fd is not None,
                sessions=tuple(plan_of(each) for each in birth.sessions),
                held=len(birth.held_fds),
            )

        sockets = tuple(each.socket.fileno() for each in birth.sessions)
        await self._fork(process, plan.log, question, (*given, *sockets, *birth.held_fds))
        try:
            await process.begun()
        except wire.ConnectionLost:
            raise Unavailable(f"the monitor of container {birth.id} was killed at its birth") from None

    async def _fork(
        self,
        process: NativeProcess,
        log: messages.LogPlan,
        question: Callable[[int], messages.ToNursery],
        fds: tuple[int, ...],
    ) -> None:
        """Have a monitor forked and connect to it."""
        ours, theirs = wire.pair()
        log_directory = -1
        try:
            if log.driver != "none":
                log_directory = _open_log_directory(log.directory)
            standing = (theirs.fileno(), process.directory, *([log_directory] if log_directory >= 0 else []))
            process.connect(ours)
            crash_point("start.fork-wanted")
            await self._nursery.fork(question, (*standing, *fds))
            crash_point("start.monitor-forked")
        except NurseryFailed as error:
            raise Unavailable(str(error)) from None
        finally:
            theirs.close()
            if log_directory >= 0:
                os.close(log_directory)

    async def _undo(self, container_id: str, *, is_orphaned: bool) -> None:
        process = self._processes.pop(container_id, None)
        if process:
            process.close()
        path = self._path(container_id)
        if os.path.isdir(path):
            if is_orphaned:
                _remove_stale_cgroup(path)
            shutil.rmtree(path)
        if process and process.lost_monitor:
            self._keeper.drop(container_id)

    async def _meet(self, process: NativeProcess) -> NativeProcess | ExitStatus | None:
        record = rundir.load_exit(process.directory)
        if record:
            return status_of(record)
        try:
            process.connect(rundir.connect(process.directory))
            with self._keeper.line() as line:
                await process.greet(line)
        except (ConnectionError, FileNotFoundError):
            return await self._meet_without_monitor(process)
        return process

    async def _meet_without_monitor(self, process: NativeProcess) -> NativeProcess | ExitStatus | None:
        record = rundir.load_exit(process.directory)
        if record:  # it was just about to end
            return status_of(record)
        alive = rundir.load_alive(process.directory)
        if alive is None:  # it was never born
            return None
        await self._take_over(process)
        pidfd = identity.open_process(alive.pid, alive.start_ticks, alive.boot_id)
        if pidfd is None:
            return await process.wait()
        os.close(pidfd)
        return process

    def _replace(self, process: NativeProcess) -> None:
        """A monitor hung up before its container's end was known."""
        self._in_background(self._find_monitor(process))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _find_monitor(self, process: NativeProcess) -> None:
        found = None
        for _ in range(_MONITOR_TRIES):
            try:
                found = await self._meet(process)
                break
            except wire.ConnectionLost:
                continue  # that one was killed too
            except (OSError, EngineError, msgspec.DecodeError):
                _LOG.exception("container %s has no monitor and gets none", process.id)
                break
        if not isinstance(found, NativeProcess):
            process.settle(found or ExitStatus(code=UNKNOWN, finished_ns=now_ns()))

    async def _take_over(self, process: NativeProcess) -> None:
        """Fork another monitor for a container that has none. Raises EngineError, OSError."""
        plan, alive = rundir.load_plan(process.directory), rundir.load_alive(process.directory)
        if plan is None or alive is None:
            raise FileNotFoundError(f"container {process.id}: its runtime directory was emptied")
        _LOG.warning("container %s: its monitor was killed; another one takes over", process.id)
        found = await self._keeper.give(process.id)

        def question(serial: int) -> messages.TakeOver:
            return messages.TakeOver(
                serial=serial,
                id=process.id,
                pid=alive.pid,
                logged=plan.log.driver != "none",
                kept=found.kept,
            )

        try:
            await self._fork(process, plan.log, question, found.fds)
        finally:
            wire.close_all(found.fds)
        await process.begun()

    def _keeper_replaced(self) -> None:
        """It holds nothing yet, and is above nobody."""
        self._nursery.renew()
        for process in self._processes.values():
            self._in_background(self._deposit_again(process))

    async def _deposit_again(self, process: NativeProcess) -> None:
        with contextlib.suppress(ConnectionError, EngineError), self._keeper.line() as line:
            await process.greet(line)  # who has no monitor now gets one that knows the new keeper


async def _birth_over(process: NativeProcess) -> None:
    """Wait for a birth that a daemon before this one had ordered."""
    for _ in range(_BIRTH_LOOKS):
        if not rundir.is_in_birth(process.directory):
            return
        await asyncio.sleep(_BIRTH_LOOK_SECONDS)  # no event tells of a lock
    _LOG.warning("container %s: its birth, begun under an earlier daemon, does not end", process.id)


def _without_filter(spec: Spec) -> Spec:
    """The filter goes as a program; its source is the longest part of a spec by far."""
    if not spec.linux or not spec.linux.seccomp:
        return spec
    return msgspec.structs.replace(spec, linux=msgspec.structs.replace(spec.linux, seccomp=None))


def _log_plan(plan: LogPlan) -> messages.LogPlan:
    directory, name = os.path.split(plan.path)
    return messages.LogPlan(
        driver=plan.driver,
        directory=directory,
        name=name,
        bytes_max=plan.bytes_max,
        files_max=plan.files_max,
        attributes=dict(plan.attributes),
    )


def _open_log_directory(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"failed to initialize logging driver: open {path}: {error.strerror}") from None


def _clear(path: str, mounts: int) -> None:
    """A dead container's mounts and its runtime directory; one that is gone is fine."""
    if mounts >= 0:
        os.close(mounts)
    if os.path.isdir(path):
        _remove_stale_cgroup(path)
        crash_point("forget.cgroup-removed")
        shutil.rmtree(path)


def _remove_stale_cgroup(path: str) -> None:
    """The cgroup of a container whose monitor could not do it any more."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        plan = rundir.load_plan(directory)
        if plan and plan.spec.linux and plan.spec.linux.cgroups_path:
            remove_cgroup(cgroups.open_existing(plan.spec.linux.cgroups_path))
    except FileNotFoundError:
        pass
    finally:
        os.close(directory)
