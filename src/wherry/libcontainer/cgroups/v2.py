"""A cgroup of version 2: one directory in one tree."""

import contextlib
import errno
import os
import time

from wherry.libcontainer.cgroups import paths
from wherry.libcontainer.cgroups.cgroup import FREEZE_SECONDS, Cgroup
from wherry.libcontainer.cgroups.device_program import apply_program
from wherry.libcontainer.cgroups.devices import DeviceList
from wherry.libcontainer.cgroups.errors import CgroupError, because
from wherry.libcontainer.cgroups.limits import Writes
from wherry.libcontainer.cgroups.limits_v2 import as_v2
from wherry.linux import cgroup as files
from wherry.oci.runtime import Resources


class CgroupV2(Cgroup):
    """One directory; its path is kept under every controller that is enabled in it, and under `` for the core."""

    version = 2

    @property
    def clone_fd(self) -> int | None:
        """The cgroup's directory."""
        return self.directory_fd("")

    def join_self(self) -> None:
        """Nothing: a process is born in a v2 cgroup by `clone_fd`, which costs no grace period."""

    def add(self, pid: int) -> None:
        """By cgroup.procs."""
        self._write_core("cgroup.procs", str(pid))

    def kill(self) -> None:
        """By cgroup.kill, which misses no fork; older kernels go by the list of processes."""
        try:
            files.write(self.directory_fd(""), "cgroup.kill", "1")
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise because(error, f"write 1 to cgroup.kill of cgroup {self.path}") from None
            super().kill()  # Linux before 5.14, or it is gone already

    def freeze(self, timeout_seconds: float = FREEZE_SECONDS) -> None:
        """By cgroup.freeze; cgroup.events tells when it is done."""
        self._write_core("cgroup.freeze", "1")
        if not self._wait_for("frozen", 1, timeout_seconds):
            self.thaw()
            raise CgroupError(errno.EBUSY, f"unable to freeze cgroup {self.path} in {timeout_seconds} seconds")

    def thaw(self) -> None:
        """By cgroup.freeze."""
        self._write_core("cgroup.freeze", "0")

    def is_frozen(self) -> bool:
        """By cgroup.freeze."""
        return self.read("", "cgroup.freeze").strip() == "1"

    def oom_kills(self) -> int:
        """By memory.events, which counts the cgroups below as well."""
        return files.parse_keyed(self.read("memory", "memory.events")).get("oom_kill", 0)

    def oom_fd(self) -> int:
        """The file memory.events, which has news of the kind POLLPRI (cgroup-v2.rst, "Memory Interface Files")."""
        try:
            return os.open("memory.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.directory_fd("memory"))
        except CgroupError:
            raise
        except OSError as error:
            raise because(error, f"watch memory.events of cgroup {self.path}") from None

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """By cgroup.events."""
        return self._wait_for("populated", 0, timeout_seconds)

    @property
    def _main_directory(self) -> str:
        return self.directories[""]

    def _limits(self, resources: Resources) -> Writes:
        return as_v2(resources)

    def _apply_devices(self, devices: DeviceList) -> None:
        apply_program(self.directory_fd(""), devices, self.path)

    def _why_missing(self, controller: str) -> str:
        parent = os.path.dirname(self._main_directory)
        if controller not in _words(f"{parent}/cgroup.controllers"):
            return super()._why_missing(controller)
        # The rule of no internal processes (cgroups(7)), or real-time tasks in the cpu controller.
        return f"the cgroup controller {controller} cannot be enabled below {parent}: it has processes of its own"

    def _memory_usage(self) -> int:
        return int(self.read("memory", "memory.current"))

    def _write_core(self, name: str, text: str) -> None:
        try:
            files.write(self.directory_fd(""), name, text)
        except OSError as error:
            raise because(error, f"write {text} to {name} of cgroup {self.path}") from None

    def _wait_for(self, key: str, value: int, timeout_seconds: float) -> bool:
        """Wait until cgroup.events says so; a cgroup that is gone is empty and stays as it is."""
        try:
            fd = os.open("cgroup.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.directory_fd(""))
        except FileNotFoundError:
            return True
        try:
            return _wait_for_event(fd, key, value, time.monotonic() + timeout_seconds)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return True
            raise because(error, f"read cgroup.events of cgroup {self.path}") from None
        finally:
            os.close(fd)


def _wait_for_event(fd: int, key: str, value: int, deadline: float) -> bool:
    while files.parse_keyed(files.read_all(fd)).get(key) != value:
        left = deadline - time.monotonic()
        if left <= 0 or not files.wait_for_event(fd, left):
            return False
    return True


def create(root: str, path: str) -> CgroupV2:
    """Make the directories with all controllers enabled that can be. Raises CgroupError."""
    with contextlib.ExitStack() as undo:
        above = root
        for directory in paths.steps(root, path):
            _enable_controllers(above)
            if paths.make(directory):
                undo.callback(paths.remove, directory)
            above = directory
        _refuse_unusable(above)
        cgroup = open_existing(root, path)
        undo.callback(cgroup.close)
        if cgroup.pids():
            raise CgroupError(errno.EBUSY, f"container's cgroup is not empty: {len(cgroup.pids())} process(es) found")
        undo.pop_all()
        return cgroup


def open_existing(root: str, path: str) -> CgroupV2:
    """A cgroup that is there. Raises OSError."""
    directory = f"{root}/{path}"
    return CgroupV2(path, dict.fromkeys(("", *_words(f"{directory}/cgroup.controllers")), directory))


def available(root: str) -> tuple[str, ...]:
    """The controllers that the root can pass on. Raises OSError."""
    return tuple(_words(f"{root}/cgroup.controllers"))


def _enable_controllers(directory: str) -> None:
    """Pass on to the children all that a cgroup has itself; what cannot be is missed when its limit is asked for."""
    missing = [
        name
        for name in _words(f"{directory}/cgroup.controllers")
        if name not in _words(f"{directory}/cgroup.subtree_control")
    ]
    refused = _enable(directory, missing) if missing else 0
    # All or none: one controller that is refused (real-time tasks keep cpu from being enabled) spoils the others.
    # Not so for a group with processes: some controllers could be enabled, but would leave its children invalid.
    if refused and refused != errno.EBUSY:
        for name in missing:
            _enable(directory, [name])


def _enable(directory: str, controllers: list[str]) -> int:
    """Enable them for the children; 0, or the kernel's error."""
    try:
        with open(f"{directory}/cgroup.subtree_control", "wb", buffering=0) as file:
            file.write(" ".join(f"+{name}" for name in controllers).encode())
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _refuse_unusable(directory: str) -> None:
    kind = " ".join(_words(f"{directory}/cgroup.type"))
    if kind not in ("domain", "domain threaded"):
        raise CgroupError(errno.EOPNOTSUPP, f"cgroup {directory} is of type {kind}: no process can be put in it")


def _words(file: str) -> list[str]:
    with open(file, encoding="ascii") as text:
        return text.read().split()
