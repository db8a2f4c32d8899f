"""The Protocol of an execution driver: a birth goes in, a living process comes out.

Terms
-----
Birth
    Everything a driver needs to make a container's first process: a runtime-spec, the root file system as a
    detached mount, further mounts as descriptors, the network namespace as a descriptor, how its output is logged.
Process
    A living (or just dead) container as the engine sees it. It lives under a monitor, not under the daemon: a
    daemon that starts again gets it back by `adopt`.
Session
    A client's hijacked connection. Its socket goes to the monitor, which moves the bytes from then on.

An example
----------
>>> process = await driver.start(birth)             # the user's program runs when this returns
>>> await process.attach(Session(socket=client, stdin=True, stdout=True, stderr=True))
>>> status = await process.wait()                   # ExitStatus(code=0, ...)
>>> await driver.forget(birth.id)                   # after the engine recorded the status durably

What may be called when: everything on a Process after `start` or `adopt` returned; `wait` by any number of
callers; all else raises `ProcessGone` once the process is dead. The driver owns the descriptors in a Birth or
Session from the call on, and closes its copies also when it fails.
"""

import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from wherry.libcontainer.cgroups.stats import CpuStats, IoStats, MemoryStats, PidsStats, Stats
from wherry.model.errors import Conflict, EngineError
from wherry.model.finding import Finding
from wherry.model.network import PublishedPort
from wherry.oci.runtime import Process as ProcessSpec
from wherry.oci.runtime import Resources, Spec

__all__ = (
    "Birth",
    "CpuStats",
    "ExecBirth",
    "ExecDriver",
    "ExecProcess",
    "ExitStatus",
    "IoStats",
    "LinkStats",
    "LogPlan",
    "MemoryStats",
    "MountFd",
    "PidsStats",
    "Process",
    "ProcessGone",
    "Session",
    "StartFailed",
    "Stats",
    "Usage",
)


class ProcessGone(Conflict):
    """The process is already dead."""


class StartFailed(EngineError):
    """The process never ran. `exit_code` is the shell's word for why: 127 not found, 126 not executable, 128 else."""

    status = 400

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a process ended: 0-255, 128+n by signal n; when, in ns since the epoch; whether memory ran out."""

    code: int
    finished_ns: int
    oom_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlan:
    """How a monitor writes a container's output: `json-file`, `local` or `none`; its file, rotation, compression.

    Of `local`, `path` is what the names of numbered files begin with. `attributes` are kept with the lines: what the
    log options `labels`, `env`, `tag` select.
    """

    driver: str
    path: str = ""
    bytes_max: int | None = None
    files_max: int = 1
    compress: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFd:
    """A detached mount to be moved onto `destination` inside the container, in the order given."""

    destination: str
    fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A client's connection to a container's or exec's streams.

    `framed` multiplexes stdout and stderr by 8-byte headers (API `/attach`); a terminal's bytes are raw.
    `detach_keys` are the bytes that end the session without ending the process; empty for none.
    With a `key` the client gets nothing from the process before `Process.release` of that key, and loses nothing.
    """

    socket: socket.socket
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    framed: bool = True
    detach_keys: bytes = b""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """All that is needed to make a container's first process.

    `spec.mounts` holds only mounts made inside (proc, sysfs, tmpfs, devpts, mqueue, cgroup); those whose
    destination stands in `mounts` are moved in by descriptor at their place in spec order.
    `rootfs_fd` is a detached mount of the root file system. `netns_fd` None leaves the spec's network namespace
    to the spec. `held_fds` are kept open as long as the container lives (reservations of host ports).
    `stdin_once` closes stdin when the first session with stdin ends its input. With `mounts_linger` the end is told
    before the container's mounts are gone, which may take a while: a file system is synced. `forget` ends them then.
    """

    id: str
    spec: Spec
    rootfs_fd: int
    log: LogPlan
    mounts: tuple[MountFd, ...] = ()
    netns_fd: int | None = None
    held_fds: tuple[int, ...] = ()
    open_stdin: bool = False
    stdin_once: bool = False
    mounts_linger: bool = False
    sessions: tuple[Session, ...] = ()
    terminal_size: tuple[int, int] = (0, 0)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecBirth:
    """A further process in a running container. `process` is the runtime-spec's `process` object.

    `privileged` is already in `process` (its capabilities and profiles): it is for drivers that must ask somebody
    else, such as a virtual machine's agent. As with dockerd the container's system call filter stays in any case.
    With a `note` the exec is found again after the daemon's death, and for a while also when it has ended.
    """

    id: str
    process: ProcessSpec
    session: Session | None = None
    open_stdin: bool = False
    privileged: bool = False
    terminal_size: tuple[int, int] = (0, 0)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundExec:
    """An exec of a container that was adopted: its birth's `note`, and its process, or how that ended."""

    id: str
    pid: int
    note: str
    process: "ExecProcess | None"
    status: ExitStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStats:
    """What one network interface of a container received and sent."""

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a container used until `read_ns`, in ns since the epoch; `links` are all of its network namespace's.

    `host_cpu_ns` is what all processors of the host spent since its start, idling too; `host_cpus` are online.
    """

    read_ns: int
    stats: Stats
    links: tuple[LinkStats, ...]
    host_cpu_ns: int
    host_cpus: int


class ExecProcess(Protocol):
    """A running exec. Dead ones are reaped by the monitor at once; the status stays here."""

    @property
    def pid(self) -> int:
        """Its pid on the host."""

    async def wait(self) -> ExitStatus:
        """Wait for its end."""

    async def resize(self, *, height: int, width: int) -> None:
        """Set the size of its terminal in characters."""

    async def signal(self, number: int) -> None:
        """Send a signal to the process itself, not to what it has started."""


class Process(Protocol):
    """A container's first process and what can be done to its container."""

    @property
    def pid(self) -> int:
        """Its pid on the host."""

    @property
    def started_ns(self) -> int:
        """When the user's program was executed, in ns since the epoch."""

    async def wait(self) -> ExitStatus:
        """Wait for the end; all its output is logged, and on its way to every session, when this returns."""

    async def attach(self, session: Session) -> int:
        """Hand a client's socket over; returns when the monitor has it. The session ends by itself.

        For a session with a key the time, in ns since the epoch, up to which the log has what the client does not get.
        """

    async def release(self, key: str) -> None:
        """Let the client of that key have what came meanwhile; also after the end."""

    async def signal(self, number: int) -> None:
        """Send a signal to the first process; SIGKILL ends the whole container, frozen or not."""

    async def resize(self, *, height: int, width: int) -> None:
        """Set the size of its terminal in characters."""

    async def exec(self, birth: ExecBirth) -> ExecProcess:
        """Start a further process. Raises StartFailed."""

    def found_execs(self) -> list[FoundExec]:
        """Those that were there when the container was adopted; those that ended come first."""

    async def hold(self, fds: tuple[int, ...], *, ports: Collection[PublishedPort]) -> None:
        """Keep further sockets open as long as the container lives, and close those that hold other than `ports`.

        The descriptors are the driver's from the call on.
        """

    async def pause(self) -> None:
        """Freeze every process; returns when all are frozen."""

    async def resume(self) -> None:
        """Thaw."""

    async def clear_log(self) -> None:
        """Forget what was logged so far; followers go on with what comes."""

    async def pids(self) -> list[int]:
        """The pids on the host of everything that runs in the container."""

    async def update(self, resources: Resources) -> None:
        """Change the limits that are said, and no others. Raises EngineError with the kernel's reason."""

    async def usage(self) -> Usage:
        """What it used so far."""

    def watch_memory(self, on_out: Callable[[], None], *, told: bool) -> None:
        """Have it called whenever memory runs out in the container, until its end; unless `told`, also if it did."""

    def watch_detaching(self, on_detach: Callable[[], None]) -> None:
        """Have it called when a client of the container leaves by its detach keys; not one of an exec."""


class ExecDriver(Protocol):
    """Makes processes; one object per daemon."""

    name: str

    async def open(self) -> None:
        """Get ready (start the nursery). Called once, before anything else."""

    async def close(self) -> None:
        """Let go of everything that is the daemon's; running containers stay."""

    async def start(self, birth: Birth) -> Process:
        """Make the container's process. Raises StartFailed; nothing is left behind then."""

    async def adopt(self, container_id: str) -> Process | ExitStatus | None:
        """Meet a container again after the daemon's death: it lives, it died meanwhile, or nothing is known of it."""

    async def sweep(self, known: Collection[str]) -> list[str]:
        """End and forget every container but the known ones, as a crash in the midst of a removal leaves them."""

    async def audit(self, cgroup_parents: Collection[str]) -> list[Finding]:
        """What is kept, or even runs, of containers that were neither started nor adopted. Changes nothing.

        `cgroup_parents` are where containers' control groups are made, such as `docker`.
        """

    async def mend(self, finding: Finding) -> None:
        """Do what the remedy of one of these says. Raises NotFound when it is in use by now, EngineError, OSError."""

    async def forget(self, container_id: str) -> None:
        """Remove what is kept about a dead container (exit record, sockets, cgroups). Unknown ones are fine."""
