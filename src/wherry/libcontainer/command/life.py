"""`start`, `kill`, `pause` and `resume`: verbs on a container's processes."""

import os
import signal

from wherry.libcontainer import cgroups, channel
from wherry.libcontainer.command import store
from wherry.libcontainer.command.create import run_poststart
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.command.store import Container
from wherry.linux import process, signals

KILL_FLAGS = (Flag(("all", "a"), "send the specified signal to all processes inside the container"),)

_REPORT_BYTES_MAX = 1 << 16


def start(settings: Settings, arguments: Arguments) -> int:
    """Let a created container execute its program; returns once it has."""
    container = store.load(settings.root, arguments.positional[0])
    match container.status():
        case "created":
            _start(container)
        case "stopped":
            raise CommandError("cannot start a container that has stopped")
        case "running":
            raise CommandError("cannot start an already running container")
        case status:
            raise CommandError(f"cannot start a container in the {status} state")
    run_poststart(container, settings)
    return 0


def kill(settings: Settings, arguments: Arguments) -> int:
    """Send a signal to the first process, or to all."""
    container = store.load(settings.root, arguments.positional[0])
    try:
        number = signals.number_of(arguments.positional[1] if len(arguments.positional) > 1 else "TERM")
    except ValueError:
        raise CommandError(f'unknown signal "{arguments.positional[1]}"') from None
    if arguments.has("all") or (number == signal.SIGKILL and container.record.shares_pids):
        _signal_all(container, number)
        return 0
    pidfd = container.open_process()
    try:
        process.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        raise CommandError("container not running") from None
    finally:
        os.close(pidfd)
    if number == signal.SIGKILL:
        _thaw(container)
    return 0


def pause(settings: Settings, arguments: Arguments) -> int:
    """Freeze every process."""
    container = store.load(settings.root, arguments.positional[0])
    if container.status() not in ("running", "created"):
        raise CommandError("container not running")
    _group(container).freeze()
    return 0


def resume(settings: Settings, arguments: Arguments) -> int:
    """Thaw every process."""
    container = store.load(settings.root, arguments.positional[0])
    if container.status() != "paused":
        raise CommandError("container not paused")
    _group(container).thaw()
    return 0


def _start(container: Container) -> None:
    report = os.open(container.path(store.REPORT), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        try:
            line = os.open(container.path(store.START), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # ENXIO: nobody waits at the other end
            raise CommandError("cannot start a container that has stopped") from None
        os.write(line, channel.GO)
        os.close(line)
        os.unlink(container.path(store.START))
        os.set_blocking(report, True)
        failure = channel.outcome(_read_all(report))
    finally:
        os.close(report)
    os.unlink(container.path(store.REPORT))
    if failure is not None:
        raise CommandError(str(failure))


def _read_all(fd: int) -> bytes:
    data = b""
    while len(data) < _REPORT_BYTES_MAX and (more := os.read(fd, _REPORT_BYTES_MAX)):
        data += more
    return data


def _signal_all(container: Container, number: int) -> None:
    group = container.open_cgroup()
    if group is None:
        raise CommandError("container not running")
    try:
        if number == signal.SIGKILL:
            group.kill()
        else:
            group.signal_all(number)
    except cgroups.CgroupError as error:
        raise CommandError(str(error)) from None
    finally:
        group.close()


def _thaw(container: Container) -> None:
    """A frozen v1 cgroup's processes get their SIGKILL when they run again."""
    group = container.open_cgroup()
    if group is not None:
        if group.is_frozen():
            group.thaw()
        group.close()


def _group(container: Container) -> cgroups.Cgroup:
    group = container.open_cgroup()
    if group is None:
        raise CommandError("container has no cgroup")
    return group
