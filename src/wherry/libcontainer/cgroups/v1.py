"""A cgroup of version 1: one directory in the tree of each controller."""

import contextlib
import errno
import os
import time
from collections.abc import Iterable

from wherry.libcontainer.cgroups import devices as device_lists
from wherry.libcontainer.cgroups import paths
from wherry.libcontainer.cgroups.cgroup import FREEZE_SECONDS, Cgroup
from wherry.libcontainer.cgroups.device_program import apply_program
from wherry.libcontainer.cgroups.devices import DeviceList
from wherry.libcontainer.cgroups.errors import CgroupError, because
from wherry.libcontainer.cgroups.limits import Write, Writes
from wherry.libcontainer.cgroups.limits_v1 import as_v1
from wherry.linux import cgroup as files
from wherry.linux.cgroup import Hierarchy
from wherry.oci.runtime import Resources

UNIFIED = ""
"""The name under which a v2 tree beside the v1 ones (a hybrid host) is kept."""

# The controllers whose list of processes is asked for, best first: freezing and killing must see the same ones.
_MAIN = ("freezer", "pids", "memory", "devices", "cpu")

_FREEZE_PAUSE_SECONDS = 0.00005
_FREEZE_PAUSE_LAST_SECONDS = 0.01
_FREEZE_READS_PER_ROUND = 50


class CgroupV1(Cgroup):
    """Directories of one path in every v1 tree, and in the v2 tree beside them where there is one."""

    version = 1

    def __init__(self, path: str, directories: dict[str, str]) -> None:
        super().__init__(path, directories)
        self._tasks: tuple[int, ...] = ()

    @property
    def clone_fd(self) -> int | None:
        """The directory in the v2 tree of a hybrid host, where systemd finds out who lives in which unit."""
        return self.directory_fd(UNIFIED) if UNIFIED in self.directories else None

    def join_self(self) -> None:
        """Move the calling, single-threaded process into every v1 group: see `join_by_tasks`."""
        join_by_tasks(self.tasks_fds)

    @property
    def tasks_fds(self) -> tuple[int, ...]:
        """The `tasks` files, opened for writing by somebody who may."""
        if not self._tasks:
            v1 = dict.fromkeys(name for key, name in self.directories.items() if key != UNIFIED)
            # One by one: should one fail, `close` finds those before it.
            for directory in v1:
                self._tasks += (self._open_tasks(directory),)
        return self._tasks

    def _open_tasks(self, directory: str) -> int:
        try:
            return os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise because(error, f"open tasks of cgroup {self.path}") from None

    def add(self, pid: int) -> None:
        """By cgroup.procs of every tree."""
        for controller, directory in self.directories.items():
            try:
                files.write(self.directory_fd(controller), "cgroup.procs", str(pid))
            except CgroupError:
                raise
            except OSError as error:
                raise because(error, f"move process {pid} to cgroup {directory}") from None

    def freeze(self, timeout_seconds: float = FREEZE_SECONDS) -> None:
        """As in Cgroup. Version 1 has no event for it, so the state is read again, with pauses from 50 us to 10 ms.

        A task that was forking or stopping can be missed; a thaw in between gets it on the next round (as runc does).
        """
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self._set_freezer("FROZEN")
            if self._becomes_frozen():
                return
            self._set_freezer("THAWED")
        self.thaw()
        raise CgroupError(errno.EBUSY, f"unable to freeze cgroup {self.path} in {timeout_seconds} seconds")

    def thaw(self) -> None:
        """By freezer.state; where there is no freezer nothing is frozen."""
        if "freezer" in self.directories:
            self._set_freezer("THAWED")

    def is_frozen(self) -> bool:
        """By freezer.self_freezing, which a frozen parent does not set."""
        return "freezer" in self.directories and self.read("freezer", "freezer.self_freezing").strip() == "1"

    def oom_kills(self) -> int:
        """By memory.oom_control, where Linux counts them since 4.13."""
        return files.parse_keyed(self.read("memory", "memory.oom_control")).get("oom_kill", 0)

    def oom_fd(self) -> int:
        """An eventfd(2) on memory.oom_control."""
        try:
            return files.out_of_memory_eventfd(self.directory_fd("memory"))
        except CgroupError:
            raise
        except OSError as error:
            raise because(error, f"watch memory.oom_control of cgroup {self.path}") from None

    def close(self) -> None:
        """Let go of the descriptors, those of the tasks files too."""
        _close_all(self._tasks)
        self._tasks = ()
        super().close()

    @property
    def _main_directory(self) -> str:
        for controller in _MAIN:
            if controller in self.directories:
                return self.directories[controller]
        return next(iter(self.directories.values()))

    def _limits(self, resources: Resources) -> Writes:
        return as_v1(resources)

    def _apply_devices(self, devices: DeviceList) -> None:
        if "devices" in self.directories:
            # In order and without coming back: the first write clears the list for the others.
            for each in device_lists.as_v1(devices):
                self._write(each)
        elif UNIFIED in self.directories:
            apply_program(self.directory_fd(UNIFIED), devices, self.path)
        elif devices != device_lists.EVERYTHING:
            raise CgroupError(errno.ENOENT, f"{self._why_missing('devices')}: cannot guard the devices of {self.path}")

    def _memory_usage(self) -> int:
        return int(self.read("memory", "memory.usage_in_bytes"))

    def _refusal(self, write: Write, error: OSError) -> CgroupError:
        if error.errno == errno.EBUSY and write.file == "memory.limit_in_bytes":
            peak = self.read("memory", "memory.max_usage_in_bytes").strip()
            usage = f"(current usage: {self._memory_usage()}, peak usage: {peak})"
            return CgroupError(errno.EBUSY, f"unable to set memory limit to {write.text} {usage}")
        return super()._refusal(write, error)

    def _set_freezer(self, state: str) -> None:
        try:
            files.write(self.directory_fd("freezer"), "freezer.state", state)
        except CgroupError:
            raise
        except OSError as error:
            raise because(error, f"write {state} to freezer.state of cgroup {self.path}") from None

    def _becomes_frozen(self) -> bool:
        pause = _FREEZE_PAUSE_SECONDS
        for _ in range(_FREEZE_READS_PER_ROUND):
            # Reading the state is what makes the kernel look whether all tasks have stopped.
            if self.read("freezer", "freezer.state").strip() == "FROZEN":
                return True
            time.sleep(pause)
            pause = min(2 * pause, _FREEZE_PAUSE_LAST_SECONDS)
        return False


def join_by_tasks(fds: Iterable[int]) -> None:
    """Move the calling, single-threaded process into v1 groups by their `tasks` files: 0.02 ms for each.

    Writing `0` to `tasks` moves one thread without the lock that writing to `cgroup.procs` waits for (an RCU grace
    period, 6 to 20 ms after a pause). The files are opened by the parent, as a child in a new user namespace could
    not. Raises CgroupError.
    """
    for fd in fds:
        try:
            os.write(fd, b"0")
        except OSError as error:
            raise because(error, "join cgroup") from None


def create(trees: tuple[Hierarchy, ...], path: str) -> CgroupV1:
    """Make the directories, or take them when they are there without a process. Raises CgroupError.

    Nothing is left when that fails; EBUSY when there are processes in it.
    """
    with contextlib.ExitStack() as undo:
        is_new = True
        for tree in trees:
            is_new &= _make(tree, path, undo)
        cgroup = CgroupV1(path, {name: f"{tree.directory}/{path}" for tree in trees for name in _names(tree)})
        undo.callback(cgroup.close)
        if not is_new and (pids := cgroup.pids()):
            raise CgroupError(errno.EBUSY, f"container's cgroup is not empty: {len(pids)} process(es) found")
        undo.pop_all()
        return cgroup


def _make(tree: Hierarchy, path: str, undo: contextlib.ExitStack) -> bool:
    """One directory and those on the way to it; whether it was not there."""
    directory = f"{tree.directory}/{path}"
    is_cpuset, is_new = "cpuset" in tree.controllers, True
    if not is_cpuset and paths.make_leaf(directory):
        undo.callback(paths.remove, directory)
        return True
    for step in paths.steps(tree.directory, path):
        is_new = paths.make(step)
        if is_new:
            undo.callback(paths.remove, step)
        if is_cpuset:
            _fill_cpuset(step, is_new=is_new)
    return is_new


def directories(trees: tuple[Hierarchy, ...], path: str) -> dict[str, str]:
    """Where the path is in each tree, by controller, for those trees that have it."""
    return {
        controller: f"{tree.directory}/{path}"
        for tree in trees
        for controller in _names(tree)
        if os.path.isdir(f"{tree.directory}/{path}")
    }


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _names(tree: Hierarchy) -> tuple[str, ...]:
    return tree.controllers or (UNIFIED,)


def _fill_cpuset(directory: str, *, is_new: bool) -> None:
    """Copy cpus and mems down: new groups have none (cgroup.clone_children is 0), and joining one is ENOSPC."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        try:
            if not is_new and paths.read(f"{directory}/{name}").strip():
                continue
            paths.write(f"{directory}/{name}", paths.read(f"{directory}/../{name}"))
        except OSError as error:
            raise because(error, f"copy {name} from the parent to cgroup {directory}") from None
