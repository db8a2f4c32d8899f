"""What the runtime remembers of each container, one directory each.

`<root>/<id>/state.json` is a `Record`; `config.json` the spec as it was used; `seccomp.bpf` the compiled filter;
`start` and `report` are the pipes by which a container that is created, and not started, is started.
"""

import os
import re
import shutil
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from wherry.libcontainer import cgroups
from wherry.libcontainer.command.errors import CommandError, not_found
from wherry.linux import process
from wherry.oci.runtime import Spec, encode, parse_spec

_ID = re.compile(r"[\w+.-]+")
_ID_MAX = 1024

STATE, CONFIG, FILTER, START, REPORT = "state.json", "config.json", "seccomp.bpf", "start", "report"


class Record(Struct, frozen=True, kw_only=True):
    """One container. `started_ticks` is the process's start time (proc_pid_stat(5)), so that no reused pid is met."""

    id: str
    pid: int
    started_ticks: int
    bundle: str
    rootfs: str
    created: str
    cgroup_path: str | None
    shares_pids: bool
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container that is remembered."""

    directory: str
    record: Record

    def status(self) -> str:
        """The runtime-spec's word for how it is: created running paused stopped."""
        if not is_alive(self.record.pid, self.record.started_ticks):
            return "stopped"
        group = self.open_cgroup()
        if group is not None:
            try:
                if group.is_frozen():
                    return "paused"
            finally:
                group.close()
        return "created" if os.path.exists(self.path(START)) else "running"

    def path(self, name: str) -> str:
        """One of its files."""
        return os.path.join(self.directory, name)

    def spec(self) -> Spec:
        """The spec it was made by. Raises OSError."""
        with open(self.path(CONFIG), "rb") as file:
            return parse_spec(file.read())

    def seccomp_program(self) -> bytes:
        """Its compiled filter; empty for none."""
        try:
            with open(self.path(FILTER), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def open_cgroup(self) -> cgroups.Cgroup | None:
        """Its cgroup, if it has one and it is there."""
        if self.record.cgroup_path is None:
            return None
        try:
            return cgroups.open_existing(self.record.cgroup_path)
        except FileNotFoundError:
            return None

    def open_process(self) -> int:
        """A pidfd of its first process. Raises CommandError when it is dead."""
        try:
            pidfd = process.pidfd_open(self.record.pid)
        except (ProcessLookupError, ValueError):
            raise CommandError("container not running") from None
        # Looked at after it was opened: whatever the pid is reused for later, this is the right process.
        if not is_alive(self.record.pid, self.record.started_ticks):
            os.close(pidfd)
            raise CommandError("container not running")
        return pidfd

    def forget(self) -> None:
        """Remove its directory."""
        discard(self.directory)


def check_id(container_id: str) -> None:
    """Raises CommandError for an id that cannot be one."""
    if not container_id:
        raise CommandError("container id cannot be empty")
    if not _ID.fullmatch(container_id) or container_id in (".", "..") or len(container_id) > _ID_MAX:
        raise CommandError("invalid container ID format")


def reserve(root: str, container_id: str) -> str:
    """Make a container's directory; whoever makes it owns the name. Raises CommandError."""
    check_id(container_id)
    os.makedirs(root, mode=0o700, exist_ok=True)
    directory = os.path.join(root, container_id)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        raise CommandError("container with given ID already exists") from None
    return directory


def save(directory: str, record: Record, spec: Spec, seccomp_program: bytes) -> Container:
    """Remember a container; the record comes last and whole. Raises OSError."""
    _write(os.path.join(directory, CONFIG), encode(spec))
    if seccomp_program:
        _write(os.path.join(directory, FILTER), seccomp_program)
    _write(os.path.join(directory, STATE), msgspec.json.encode(record))
    return Container(directory, record)


def load(root: str, container_id: str) -> Container:
    """A container by its id. Raises CommandError."""
    check_id(container_id)
    directory = os.path.join(root, container_id)
    try:
        with open(os.path.join(directory, STATE), "rb") as file:
            return Container(directory, msgspec.json.decode(file.read(), type=Record))
    except (FileNotFoundError, NotADirectoryError):
        raise not_found() from None
    except msgspec.DecodeError as error:
        raise CommandError(f"container {container_id}: {error}") from None


def load_all(root: str) -> list[Container]:
    """Every container, by id."""
    names = sorted(os.listdir(root)) if os.path.isdir(root) else []
    return [load(root, name) for name in names if os.path.exists(os.path.join(root, name, STATE))]


def discard(directory: str) -> None:
    """Remove a container's directory; missing is fine."""
    shutil.rmtree(directory, ignore_errors=True)


def started_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, so count from its end (proc_pid_stat(5)).
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, ticks: int) -> bool:
    """Whether that very process lives."""
    return ticks != 0 and started_ticks(pid) == ticks


def _write(path: str, data: bytes) -> None:
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)
