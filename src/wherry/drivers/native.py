"""The native driver: containers of our own libcontainer, each under a monitor that outlives the daemon."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import shutil
import signal
from collections.abc import Collection

import msgspec

from wherry.crashpoints import crash_point
from wherry.drivers import audit, hooks
from wherry.drivers.driver import Birth, ExitStatus, StartFailed
from wherry.drivers.memory import MemoryWatch
from wherry.drivers.monitors import Monitors, Order
from wherry.drivers.opening import open_mounts
from wherry.drivers.plans import Plans
from wherry.drivers.process import NativeProcess
from wherry.drivers.wording import plan_of
from wherry.libcontainer import cgroups
from wherry.model.errors import EngineError, NotFound
from wherry.model.finding import Finding
from wherry.monitor import bundle as bundles
from wherry.monitor import messages, rundir, wire
from wherry.monitor.container import remove_cgroup

_LOG = logging.getLogger(__name__)
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
        self._memory = MemoryWatch()
        self._processes: dict[str, NativeProcess] = {}
        self._monitors = Monitors(exec_root, self._processes)
        self._plans = Plans(nofile)

    async def open(self) -> None:
        """Meet or start the keeper, start the nursery. Raises OSError."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        os.chmod(self._root, 0o700)
        self._memory.open()
        self._monitors.open()

    async def close(self) -> None:
        """Let go of everything that is the daemon's; running containers stay."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()
        self._memory.close()
        await self._monitors.close()

    async def start(self, birth: Birth) -> NativeProcess:
        """Make the container's process. Raises StartFailed, Unsupported, Unavailable; nothing is left behind then."""
        given = [birth.rootfs_fd, *(each.fd for each in birth.mounts)]
        given += [birth.netns_fd] if birth.netns_fd is not None else []
        try:
            opened = open_mounts(birth.spec.mounts, birth.mounts)
            given[1 : 1 + len(birth.mounts)] = [each.fd for each in opened]
            birth = dataclasses.replace(birth, mounts=opened)
            bundle = bundles.path_in(self._path(birth.id)) if birth.spec.hooks else ""
            if bundle:
                birth = dataclasses.replace(birth, spec=bundles.with_root(birth.spec, bundle))
            plan = await self._plans.plan(birth)
            directory = self._fresh_directory(birth.id)
            crash_point("start.run-directory-made")
            process = NativeProcess(birth.id, directory, replace=self._monitors.replace, memory=self._memory)
            process.mounts_linger = birth.mounts_linger
            process.cgroups_path = birth.spec.linux.cgroups_path if birth.spec.linux else ""
            self._processes[birth.id] = process
            if bundle:
                bundles.write(bundle, birth.spec)
                crash_point("start.bundle-written")
            await self._bear(process, plan, birth, given, bundle)
            process.expect_release(birth.sessions)
        except BaseException as error:
            # A monitor that refuses has cleaned up; one that was killed has perhaps left its container.
            await self._undo(birth.id, is_orphaned=not isinstance(error, StartFailed))
            raise
        finally:
            wire.close_all((*given, *birth.held_fds))
            for session in birth.sessions:
                session.socket.close()
        if bundle:
            await hooks.after_start(birth.id, birth.spec, bundle, process.pid)
        return process

    async def adopt(self, container_id: str) -> NativeProcess | ExitStatus | None:
        """Meet a container again after the daemon's death: it lives, it died meanwhile, or nothing is known of it."""
        try:
            directory = os.open(self._path(container_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        process = NativeProcess(container_id, directory, replace=self._monitors.replace, memory=self._memory)
        try:
            await _birth_over(process)
            found = await self._monitors.meet(process)
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
            self._monitors.keeper.drop(container_id)
        await hooks.after_end(container_id, bundles.path_in(path))
        await asyncio.to_thread(_clear, path, mounts, process.cgroups_path if process else "")

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
                self._monitors.keeper.drop(audit.kill_monitor(int(finding.name), self._root))
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

    async def _bear(
        self, process: NativeProcess, plan: messages.Plan, birth: Birth, given: list[int], bundle: str
    ) -> None:
        destinations = tuple(each.destination for each in birth.mounts)
        has_netns = birth.netns_fd is not None
        deliver = messages.Deliver(plan=plan, mounts=destinations, netns=has_netns, bundle=bundle)
        sessions = tuple(plan_of(each) for each in birth.sessions)
        sockets = tuple(each.socket.fileno() for each in birth.sessions)
        order = Order(deliver, given, sessions, (*sockets, *birth.held_fds))
        await self._monitors.order(process, order)

    async def _undo(self, container_id: str, *, is_orphaned: bool) -> None:
        process = self._processes.pop(container_id, None)
        if process:
            process.close()
        path = self._path(container_id)
        if os.path.isdir(path):
            if is_orphaned:
                _remove_stale_cgroup(_planned_cgroup(path))
            await hooks.after_end(container_id, bundles.path_in(path))
            shutil.rmtree(path)
        if process and process.lost_monitor:
            self._monitors.keeper.drop(container_id)


async def _birth_over(process: NativeProcess) -> None:
    """Wait for a birth that a daemon before this one had ordered."""
    for _ in range(_BIRTH_LOOKS):
        if not rundir.is_in_birth(process.directory):
            return
        await asyncio.sleep(_BIRTH_LOOK_SECONDS)  # no event tells of a lock
    _LOG.warning("container %s: its birth, begun under an earlier daemon, does not end", process.id)


def _clear(path: str, mounts: int, cgroups_path: str) -> None:
    """A dead container's mounts and its runtime directory; one that is gone is fine."""
    if mounts >= 0:
        os.close(mounts)
    if os.path.isdir(path):
        _remove_stale_cgroup(cgroups_path or _planned_cgroup(path))
        crash_point("forget.cgroup-removed")
        shutil.rmtree(path)


def _planned_cgroup(path: str) -> str:
    """Where the cgroup of the container with that runtime directory is, empty for none."""
    with rundir.opened(path) as directory:
        plan = rundir.load_plan(directory)
    return plan.spec.linux.cgroups_path if plan and plan.spec.linux else ""


def _remove_stale_cgroup(cgroups_path: str) -> None:
    """The cgroup of a container whose monitor could not do it any more."""
    with contextlib.suppress(FileNotFoundError):
        if cgroups_path:
            remove_cgroup(cgroups.open_existing(cgroups_path))
