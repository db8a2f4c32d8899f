"""A container's cgroup: the same verbs for both versions."""

import contextlib
import errno
import os
import select
import signal
import time
from abc import ABC, abstractmethod

from wherry.libcontainer.cgroups import paths
from wherry.libcontainer.cgroups.devices import DeviceList, effective
from wherry.libcontainer.cgroups.errors import CgroupError, because
from wherry.libcontainer.cgroups.limits import Write, Writes
from wherry.linux import cgroup as files
from wherry.linux.process import pidfd_open, pidfd_send_signal
from wherry.oci.runtime import Resources

REMOVE_SECONDS = 10.0
FREEZE_SECONDS = 10.0

# A group that forks faster than it is listed is killed again; frozen or by cgroup.kill the first round is enough.
_KILL_ROUNDS = 10
_KILL_FREEZE_SECONDS = 0.5
_BACK_OFF_FIRST_SECONDS = 0.0001
_BACK_OFF_LAST_SECONDS = 0.02


class Cgroup(ABC):
    """A cgroup that exists. Each directory is opened when it is first needed.

    For one mount namespace, and not for use by two threads at once. All verbs raise CgroupError.
    """

    version: int

    def __init__(self, path: str, directories: dict[str, str]) -> None:
        """`directories` are absolute, by controller; controllers mounted together share one."""
        self.path = path
        self.directories = directories
        self._fds: dict[str, int] = {}

    @property
    @abstractmethod
    def clone_fd(self) -> int | None:
        """The directory to give to clone3(2) as CLONE_INTO_CGROUP; None where no v2 tree is mounted."""

    @abstractmethod
    def join_self(self) -> None:
        """Move the calling, single-threaded process into the v1 groups; nothing to do on v2."""

    @property
    def tasks_fds(self) -> tuple[int, ...]:
        """What `join_by_tasks` takes: empty on v2."""
        return ()

    @abstractmethod
    def add(self, pid: int) -> None:
        """Move another process here with all its threads: slower than being born here (see `join_self`)."""

    def apply(self, resources: Resources) -> None:
        """Limit a new cgroup, devices included. Raises LimitError before anything is written."""
        devices = effective(resources.devices)
        self.update(resources)
        self._apply_devices(devices)

    def update(self, resources: Resources) -> None:
        """Change the limits that are said and leave all others, and the devices, as they are. Raises LimitError."""
        writes = self._limits(resources)
        if resources.memory is not None and resources.memory.check_before_update and resources.memory.limit:
            self._check_usage(resources.memory.limit)
        self._write_all(writes)

    def pids(self) -> list[int]:
        """The processes in it and below it."""
        return paths.pids_below(self._main_directory)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process that is in it now."""
        pidfds: dict[int, int] = {}
        try:
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    pidfds[pid] = pidfd_open(pid)
            # Listed before and after it was opened: the descriptor is a member's and not of a reused pid.
            for pid in pidfds.keys() & set(self.pids()):
                with contextlib.suppress(ProcessLookupError):
                    pidfd_send_signal(pidfds[pid], number)
        finally:
            for fd in pidfds.values():
                os.close(fd)

    def kill(self) -> None:
        """Send SIGKILL to everything in it, frozen or not; all have it when this returns."""
        for _ in range(_KILL_ROUNDS):
            if not self.pids():
                return
            # Nobody forks while it is frozen. What cannot be frozen now, in the midst of a slow call, is killed too.
            with contextlib.suppress(CgroupError):
                self.freeze(_KILL_FREEZE_SECONDS)
            try:
                self.signal_all(signal.SIGKILL)
            finally:
                self.thaw()
            if self.wait_until_empty(_BACK_OFF_LAST_SECONDS):
                return

    @abstractmethod
    def freeze(self, timeout_seconds: float = FREEZE_SECONDS) -> None:
        """Stop every process; returns when all are stopped. Thaws again when that fails."""

    @abstractmethod
    def thaw(self) -> None:
        """Let every process run again."""

    @abstractmethod
    def is_frozen(self) -> bool:
        """Whether it is frozen, or about to be."""

    def oom_killed(self) -> bool:
        """Whether the kernel ever killed something in it for lack of memory."""
        return "memory" in self.directories and self.oom_kills() > 0

    @abstractmethod
    def oom_kills(self) -> int:
        """How often the kernel killed something in it for lack of memory, the cgroups below counted in on v2."""

    @abstractmethod
    def oom_fd(self) -> int:
        """A new descriptor to poll(2), for POLLIN on v1 and POLLPRI on v2: memory ran out, or the group is going.

        Read it from its start, also before the first poll; then ask `oom_kills`.
        """

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until no process is left in it; False when the time is over first."""
        deadline = time.monotonic() + timeout_seconds
        while pids := self.pids():
            if not _wait_for_exits(pids, deadline):
                return False
        return True

    def remove(self, timeout_seconds: float = REMOVE_SECONDS) -> None:
        """Remove it with all below it; its processes must be dead or dying, which is waited for."""
        deadline = time.monotonic() + timeout_seconds
        pause = _BACK_OFF_FIRST_SECONDS
        left_over = list(dict.fromkeys(self.directories.values()))
        while left_over := [directory for directory in left_over if not paths.remove(directory)]:
            left = deadline - time.monotonic()
            if left <= 0 or not self.wait_until_empty(left):
                raise CgroupError(errno.EBUSY, f"remove cgroup {self.path}: it still holds processes {self.pids()}")
            # Listed nowhere any more, the last task may be a moment away from letting go; no event tells of that.
            time.sleep(pause)
            pause = min(2 * pause, _BACK_OFF_LAST_SECONDS)

    def close(self) -> None:
        """Let go of the descriptors; the cgroup stays."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def read(self, controller: str, name: str) -> str:
        """A file of a controller. Raises CgroupError: ENOENT where there is no such controller or file."""
        try:
            return files.read(self.directory_fd(controller), name)
        except CgroupError:
            raise
        except OSError as error:
            raise because(error, f"read {name} of cgroup {self.path}") from None

    def directory_fd(self, controller: str) -> int:
        """The open directory that holds a controller's files. Raises CgroupError when it is not mounted."""
        directory = self.directories.get(controller)
        if directory is None:
            raise CgroupError(errno.ENOENT, self._why_missing(controller))
        fd = self._fds.get(directory)
        if fd is None:
            try:
                fd = self._fds[directory] = paths.open_directory(directory)
            except OSError as error:
                raise because(error, f"open cgroup {directory}") from None
        return fd

    @property
    @abstractmethod
    def _main_directory(self) -> str:
        """The directory whose cgroup.procs tells who is in."""

    @abstractmethod
    def _limits(self, resources: Resources) -> Writes: ...

    @abstractmethod
    def _apply_devices(self, devices: DeviceList) -> None: ...

    @abstractmethod
    def _memory_usage(self) -> int: ...

    def _why_missing(self, controller: str) -> str:
        return f"the cgroup controller {controller} is not available on this host"

    def _check_usage(self, limit: int) -> None:
        usage = self._memory_usage()
        if 0 < limit < usage:
            raise CgroupError(errno.EBUSY, f"rejecting memory limit {limit} < usage {usage}")

    def _write_all(self, writes: Writes) -> None:
        """Write, and come back to what was refused: the kernel holds limits against each other.

        Raising memory and memory+swap, or shortening a period and its quota, has no order that always works.
        """
        pending = list(writes)
        while pending:
            refused: list[tuple[Write, CgroupError]] = []
            for each in pending:
                try:
                    self._write(each)
                except CgroupError as error:
                    if error.errno not in (errno.EINVAL, errno.EBUSY):
                        raise
                    refused.append((each, error))
            if len(refused) == len(pending):
                raise refused[0][1]
            pending = [each for each, _ in refused]

    def _write(self, write: Write) -> None:
        try:
            files.write(self.directory_fd(write.controller), write.file, write.text)
        except FileNotFoundError as error:
            if write.instead is not None:
                self._write(write.instead)
            elif not write.optional:
                raise self._refusal(write, error) from None
        except CgroupError as error:
            raise CgroupError(error.errno or 0, f"{error}: cannot set {write.file} to {write.text}") from None
        except OSError as error:
            raise self._refusal(write, error) from None

    def _refusal(self, write: Write, error: OSError) -> CgroupError:
        return because(error, f"write {write.text} to {write.file} of cgroup {self.path}")


def _wait_for_exits(pids: list[int], deadline: float) -> bool:
    """Wait until all of these ended; False when the time is over first."""
    poll = select.poll()
    pidfds: set[int] = set()
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                pidfds.add(pidfd_open(pid))
        left = set(pidfds)
        for fd in left:
            poll.register(fd, select.POLLIN)
        while left:
            ended = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ended:
                return False
            for fd, _ in ended:
                poll.unregister(fd)
                left.discard(fd)
    finally:
        for fd in pidfds:
            os.close(fd)
    return True
