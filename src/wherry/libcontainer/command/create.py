"""`create` and `run`: a bundle becomes a container."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from wherry.libcontainer import birth, hooks, namespaces
from wherry.libcontainer.birth import Child
from wherry.libcontainer.command import bundle as bundles
from wherry.libcontainer.command import console, store
from wherry.libcontainer.command.bundle import Bundle
from wherry.libcontainer.command.delete import destroy
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.command.store import Container, Record
from wherry.libcontainer.errors import BirthError
from wherry.libcontainer.plan import Plan, Stdio
from wherry.linux import prctl
from wherry.oci.runtime import Process

_BUNDLE_HELP = "path to the root of the bundle directory, defaults to the current directory"
CREATE_FLAGS = (
    Flag(("bundle", "b"), _BUNDLE_HELP, takes_value=True),
    Flag(("config", "f"), "the file to read instead of config.json", takes_value=True),
    Flag(("console-socket",), "path to an AF_UNIX socket which will receive the terminal's master", takes_value=True),
    Flag(("pid-file",), "specify the file to write the process id to", takes_value=True),
    Flag(("no-pivot",), "refused: the root is always pivoted into"),
    Flag(("no-new-keyring",), "do not create a new session keyring for the container"),
    Flag(("preserve-fds",), "pass N additional file descriptors to the container", takes_value=True),
)
RUN_FLAGS = (
    *CREATE_FLAGS,
    Flag(("detach", "d"), "detach from the container's process"),
    Flag(("keep",), "do not delete the container after it exits"),
    Flag(("no-subreaper",), "do not adopt processes that the container leaves behind"),
)

_STDIO = Stdio(stdin=0, stdout=1, stderr=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A container that waits for its start, with the process as this program's child."""

    container: Container
    bundle: Bundle
    child: Child


def create(settings: Settings, arguments: Arguments) -> int:
    """Make a container that waits for `start`."""
    with _failing_as("create"):
        made = _make(settings, arguments, detached=True, started_later=True)
        os.close(made.child.pidfd)
    return 0


def run(settings: Settings, arguments: Arguments) -> int:
    """Make a container and start it; unless detached stay with it, and give its exit code."""
    detached = arguments.has("detach")
    with _failing_as("run"), console.signals_as_events() as signal_fd:
        prctl.set_child_subreaper(on=not detached and not arguments.has("no-subreaper"))
        made = _make(settings, arguments, detached=detached, started_later=False)
        with console.raw() if made.child.terminal is not None else contextlib.nullcontext():
            _release(made, settings)
            if detached:
                return 0
            code = console.attend(made.child.pidfd, made.child.terminal, signal_fd)
        if not arguments.has("keep"):
            destroy(made.container, settings.log)
        return code


def _release(made: _Made, settings: Settings) -> None:
    """Start it; one that cannot be executed is removed. Raises BirthError."""
    if made.child.terminal is not None:
        console.resize(made.child.terminal)
    try:
        made.child.release()
    except BirthError:
        destroy(made.container, settings.log)
        raise
    run_poststart(made.container, settings)


def run_poststart(container: Container, settings: Settings) -> None:
    """Run the hooks that follow a start; one that fails is only worth a warning (runtime.md, "Lifecycle")."""
    spec = container.spec()
    if spec.hooks is None or not spec.hooks.poststart:
        return
    record = container.record
    state = hooks.state_of(record.id, "running", record.pid, record.bundle, spec.annotations)
    try:
        hooks.run("poststart", spec.hooks.poststart, state)
    except BirthError as error:
        settings.log.warning(str(error))


def _make(settings: Settings, arguments: Arguments, *, detached: bool, started_later: bool) -> _Made:
    container_id = arguments.positional[0]
    with ExitStack() as opened, ExitStack() as undo:
        store.check_id(container_id)
        socket_path = arguments.value("console-socket") and os.path.abspath(arguments.value("console-socket"))
        pid_file = arguments.value("pid-file") and os.path.abspath(arguments.value("pid-file"))
        found = bundles.load(arguments.value("bundle"), arguments.value("config"))
        _check_terminal(found.spec.process, socket_path, detached=detached)
        directory = store.reserve(settings.root, container_id)
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        plan = _plan(found, settings, arguments, opened, undo)
        if started_later:
            plan = replace(plan, start_fds=_lay_line(directory, opened))
        child = birth.spawn(plan, _STDIO)
        undo.callback(birth.end, child)
        for warning in child.warnings:
            settings.log.warning(warning)
        if child.terminal is not None and socket_path:
            console.hand_to_socket(socket_path, child.terminal)
            os.close(child.terminal)
            child.terminal = None
        container = store.save(directory, _record(found, plan, child), found.spec, plan.seccomp_program)
        if pid_file:
            write_pid(pid_file, child.pid)
        undo.pop_all()
        if plan.cgroup is not None:
            plan.cgroup.close()
        return _Made(container=container, bundle=found, child=child)


def _plan(found: Bundle, settings: Settings, arguments: Arguments, opened: ExitStack, undo: ExitStack) -> Plan:
    if arguments.has("no-pivot"):
        raise CommandError("--no-pivot is not supported: the root is always pivoted into")
    container_id = arguments.positional[0]
    program, flags = bundles.compile_filter(found.spec)
    spec, preserved = bundles.with_listen_fds(found.spec, arguments.number("preserve-fds") or 0)
    return Plan(
        id=container_id,
        spec=spec,
        rootfs_fd=bundles.open_root(spec, opened),
        mounts=bundles.open_mounts(spec, opened),
        cgroup=bundles.make_cgroup(spec, container_id, undo) if settings.with_cgroups else None,
        seccomp_program=program,
        seccomp_flags=flags,
        wait_for_start=True,
        preserve_fds=preserved,
        new_keyring=not arguments.has("no-new-keyring"),
        bundle=found.path,
    )


def _lay_line(directory: str, opened: ExitStack) -> tuple[int, int]:
    """The two pipes for a later start: the child reads one and reports on the other.

    It holds both ends of the first, so that it waits also when nobody else has it open; of the second it has only
    the end to write, so that its execution or death is the end of file.
    """
    paths = [os.path.join(directory, name) for name in (store.START, store.REPORT)]
    for path in paths:
        os.mkfifo(path, 0o600)
    start = os.open(paths[0], os.O_RDWR | os.O_CLOEXEC)
    opened.callback(os.close, start)
    both = os.open(paths[1], os.O_RDWR | os.O_CLOEXEC)
    report = os.open(paths[1], os.O_WRONLY | os.O_CLOEXEC)
    os.close(both)
    opened.callback(os.close, report)
    return start, report


def _record(found: Bundle, plan: Plan, child: Child) -> Record:
    root = found.spec.root
    return Record(
        id=plan.id,
        pid=child.pid,
        started_ticks=store.started_ticks(child.pid),
        bundle=found.path,
        rootfs=root.path if root else "",
        created=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        cgroup_path=plan.cgroup.path if plan.cgroup else None,
        shares_pids=namespaces.kinds(found.spec).get("pid") != "",
    )


def _check_terminal(process: Process | None, socket_path: str, *, detached: bool) -> None:
    has_terminal = process is not None and process.terminal
    if has_terminal and detached and not socket_path:
        raise CommandError("cannot allocate tty if wherry-runtime will detach without setting console socket")
    if socket_path and not (has_terminal and detached):
        raise CommandError("cannot use console socket if wherry-runtime will not detach or allocate tty")


def write_pid(path: str, pid: int) -> None:
    """Write a pid file, whole. Raises OSError."""
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}")
    with open(temporary, "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(temporary, path)


@contextlib.contextmanager
def _failing_as(verb: str) -> Iterator[None]:
    """The prefixes of runc; containerd shows them to its users as they are."""
    try:
        yield
    except BirthError as error:
        words = f"error during container init: {error}" if error.is_from_init else str(error)
        raise CommandError(f"wherry-runtime {verb} failed: unable to start container process: {words}") from None
    except CommandError as error:
        raise CommandError(f"wherry-runtime {verb} failed: {error}", error.exit_code) from None
    except OSError as error:
        raise CommandError(f"wherry-runtime {verb} failed: {error}") from None
