"""What daemon, nursery and monitors say to each other, as records; how they travel is `wire`.

Descriptors follow a message in the order in which its docstring names them. Times are nanoseconds since the epoch.
Fields are only ever added, with defaults: a new daemon meets the monitors of an old one.
"""

from typing import Any

import msgspec
from msgspec import Struct

from wherry.oci.runtime import Process, Rlimit, Spec

VERSION = 1


class _Message(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A record that carries its own name."""


class SessionPlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client's connection: which streams, whether multiplexed, the keys that detach. Its socket is a descriptor.

    With a `key` nothing is sent before a Release of that key: somebody else still speaks to the client.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    framed: bool = True
    detach_keys: bytes = b""
    key: str = ""


class LogPlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How output is logged: `json-file`, `local` or `none`; the file's directory and name; rotation; attributes."""

    driver: str
    directory: str = ""
    name: str = ""
    bytes_max: int | None = None
    files_max: int = 1
    compress: bool = False
    attributes: dict[str, str] = {}


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a monitor needs to know for all of its container's life; kept in the container's runtime directory."""

    id: str
    spec: Spec
    log: LogPlan
    seccomp: bytes = b""
    seccomp_flags: int = 0
    open_stdin: bool = False
    stdin_once: bool = False
    terminal_size: tuple[int, int] = (0, 0)
    version: int = VERSION


class Charge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of its plan a monitor needs all the time; the rest, which is long, is read when it is needed."""

    id: str
    log: LogPlan
    cgroups_path: str = ""
    open_stdin: bool = False
    stdin_once: bool = False
    terminal_size: tuple[int, int] = (0, 0)


class _Program(Struct, frozen=True):
    rlimits: tuple[Rlimit, ...] = ()


class _Host(Struct, frozen=True):
    personality: dict[str, Any] | None = None


class _Container(Struct, frozen=True):
    process: _Program = _Program()
    linux: _Host = _Host()


class Surroundings(Struct, frozen=True):
    """What of a Plan a further process in its container needs."""

    id: str
    spec: _Container
    seccomp: bytes = b""
    seccomp_flags: int = 0


def charge_of(plan: Plan) -> Charge:
    """What of it a monitor needs all the time."""
    return Charge(
        id=plan.id,
        log=plan.log,
        cgroups_path=plan.spec.linux.cgroups_path if plan.spec.linux else "",
        open_stdin=plan.open_stdin,
        stdin_once=plan.stdin_once,
        terminal_size=plan.terminal_size,
    )


class ExitRecord(Struct, frozen=True, kw_only=True):
    """How a container or exec ended: 0-255, 128 plus a signal's number; durable in the runtime directory."""

    code: int
    finished_ns: int
    oom_killed: bool = False


class Alive(Struct, frozen=True, kw_only=True):
    """Who runs, as the runtime directory has it: `start_ticks` tells a process from a later one of the same pid."""

    pid: int
    start_ticks: int
    boot_id: str
    started_ns: int
    monitor_pid: int


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a monitor has the keeper hold, each thing with its descriptors: `fds` names them in their order.

    For the container and each exec `pidfd`, `terminal` or `stdin` `stdout` `stderr` (the monitor's ends); for a
    `session` its `socket` and its `seat`; what is `held` for the container. A monitor that takes over gets it back,
    and for a process (`pid`) also `status`, where the keeper tells its end.
    """

    fds: tuple[str, ...]
    exec_id: str = ""
    pid: int = 0
    session: SessionPlan | None = None
    seat: int = 0
    note: str = ""


class KnownExec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exec as its monitor tells a daemon that comes back: the daemon's own `note`, and how it ended, if it did."""

    id: str
    pid: int
    note: str = ""
    status: ExitRecord | None = None


# To the nursery


class Spare(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Fork a monitor that waits for its container. Descriptors: its connection, and that of its midwife.

    On the former a Start comes, on the latter a Deliver, in this order; or the end of both.
    """

    serial: int


class TakeOver(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Fork a monitor for a container whose monitor was killed.

    `pid` is the container's first process. Descriptors: the daemon's connection, the runtime directory, the log's
    directory (if `logged`), then all those of `kept`, which is what the keeper held.
    """

    serial: int
    id: str
    pid: int
    logged: bool
    kept: tuple[Kept, ...] = ()


class Forked(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The monitor's pid."""

    serial: int
    pid: int


class Refused(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """What was asked failed; `exit_code` is that of a process that could not be started.

    It is `gone` when the container has ended, and a `conflict` when it is in a state that does not allow it.
    """

    serial: int
    message: str
    exit_code: int = 0
    gone: bool = False
    conflict: bool = False


# To a monitor


class Start(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Take charge of a container that is being made: the first word to a spare. Answered by Running.

    Descriptors: the runtime directory, the log's directory (unless `none`), the host's mount namespace (if `bundle`,
    the path of one), one for each session, others to hold.
    """

    serial: int
    charge: Charge
    sessions: tuple[SessionPlan, ...] = ()
    bundle: str = ""


class Deliver(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Make the container: the only word to a midwife.

    Descriptors: the runtime directory, the rootfs, one for each of `mounts`, the network namespace (if `netns`), the
    host's mount namespace (if `bundle`: there are hooks, and that is what they are shown).
    """

    plan: Plan
    mounts: tuple[str, ...] = ()
    netns: bool = False
    bundle: str = ""


class Hello(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Who is there? Answered by Running. Descriptor: a line to the keeper to use from now on (if `line`).

    `ports` are those that shall be held for the container from now on, such as `tcp 0.0.0.0 80`: the sockets of
    others are closed. The further descriptors are sockets to be held as well.
    """

    serial: int
    line: bool = False
    ports: tuple[str, ...] | None = None


class Attach(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A client for the container's streams. Descriptor: its socket. Answered by Attached when its session has a key."""

    serial: int
    session: SessionPlan


class Release(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The client with that key may have what came since it was attached. Never asked of who did not say Attached."""

    serial: int
    key: str


class Exec(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Start a further process. Descriptor: its client's socket, if `session`. Answered by Executing.

    `note` is what the daemon wants to read again when it comes back (KnownExec).
    """

    serial: int
    id: str
    process: Process
    session: SessionPlan | None = None
    open_stdin: bool = False
    terminal_size: tuple[int, int] = (0, 0)
    note: str = ""


class Resize(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Set a terminal's size: the container's, or that of an exec."""

    serial: int
    height: int
    width: int
    exec_id: str = ""


class Signal(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Send a signal to the first process, or to that of an exec. SIGKILL to the first also thaws, so that it can die.

    Monitors from before execs could be meant signal the first process: these have no health checks to be killed.
    """

    serial: int
    number: int
    exec_id: str = ""


class Freeze(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Freeze all processes."""

    serial: int


class Thaw(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Thaw them."""

    serial: int


class ClearLog(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Forget what was logged so far."""

    serial: int


class ListPids(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Which processes are there? Answered by Pids."""

    serial: int


# From a monitor


class Running(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The container runs. Serial 0 is the answer to TakeOver. `execs` has the pid of each by its id.

    `known` has those and the last ones that ended.
    """

    serial: int
    pid: int
    started_ns: int
    execs: dict[str, int] = {}
    known: tuple[KnownExec, ...] = ()


class Executing(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The exec runs."""

    serial: int
    pid: int


class Attached(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The client is there: it gets all that is not yet in the log, and what is logged bears stamps up to this one."""

    serial: int
    logged_ns: int


class Pids(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The container's processes."""

    serial: int
    pids: tuple[int, ...]


class Done(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """It is done."""

    serial: int


class ExecExited(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """An exec ended."""

    id: str
    status: ExitRecord


class Exited(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The container ended; its exit record is durable and its output logged."""

    status: ExitRecord


class Detached(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A client of the container has left by its detach keys."""


class Trouble(_Message, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Something an administrator should read."""

    message: str


ToNursery = Spare | TakeOver
FromNursery = Forked | Refused
ToMonitor = Hello | Attach | Release | Exec | Resize | Signal | Freeze | Thaw | ListPids | ClearLog
FromMonitor = Running | Executing | Attached | Pids | Done | Refused | ExecExited | Exited | Detached | Trouble

read_to_nursery = msgspec.json.Decoder(ToNursery).decode
read_from_nursery = msgspec.json.Decoder(FromNursery).decode
read_to_monitor = msgspec.json.Decoder(ToMonitor).decode
read_from_monitor = msgspec.json.Decoder(FromMonitor).decode
read_start = msgspec.json.Decoder(Start).decode
read_deliver = msgspec.json.Decoder(Deliver).decode
read_surroundings = msgspec.json.Decoder(Surroundings).decode
read_plan = msgspec.json.Decoder(Plan).decode
read_kept = msgspec.json.Decoder(Kept).decode
read_exit = msgspec.json.Decoder(ExitRecord).decode
read_alive = msgspec.json.Decoder(Alive).decode
write = msgspec.json.Encoder().encode
