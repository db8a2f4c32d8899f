"""`delete`: what is left of a container goes."""

import os
import select
import signal

from wherry.libcontainer import cgroups, hooks
from wherry.libcontainer.command import store
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.log import Log
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.command.store import Container
from wherry.libcontainer.errors import BirthError
from wherry.linux import process

FLAGS = (Flag(("force", "f"), "Forcibly deletes the container if it is still running (uses SIGKILL)"),)

_KILL_SECONDS = 10.0


def delete(settings: Settings, arguments: Arguments) -> int:
    """Remove a container that is stopped or never ran; with --force any, and none is fine too."""
    container_id, force = arguments.positional[0], arguments.has("force")
    try:
        container = store.load(settings.root, container_id)
    except CommandError:
        if force:
            _sweep(settings, container_id)
            return 0
        raise
    status = container.status()
    if status != "stopped":
        if status != "created" and not force:
            raise CommandError(f"cannot delete container {container_id} that is not stopped: {status}")
        _kill(container)
    destroy(container, settings.log)
    return 0


def destroy(container: Container, log: Log) -> None:
    """Remove a dead container's cgroup and record, and run its last hooks. Raises CommandError."""
    group = container.open_cgroup()
    if group is not None:
        try:
            group.kill()
            group.remove()
        except cgroups.CgroupError as error:
            raise CommandError(f"unable to remove the cgroup: {error}") from None
        finally:
            group.close()
    _run_poststop(container, log)
    container.forget()


def _kill(container: Container) -> None:
    """End the first process, and with it its pid namespace. Raises CommandError."""
    try:
        pidfd = container.open_process()
    except CommandError:
        return
    try:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        group = container.open_cgroup()
        if group is not None:
            # A frozen v1 cgroup does not die, and processes without a pid namespace outlive the first one.
            group.kill()
            group.close()
        if not select.select([pidfd], [], [], _KILL_SECONDS)[0]:
            raise CommandError("container init still running")
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def _run_poststop(container: Container, log: Log) -> None:
    record, spec = container.record, container.spec()
    if spec.hooks is None or not spec.hooks.poststop:
        return
    state = hooks.state_of(record.id, "stopped", 0, record.bundle, spec.annotations)
    try:
        hooks.run("poststop", spec.hooks.poststop, state)
    except BirthError as error:
        log.warning(str(error))


def _sweep(settings: Settings, container_id: str) -> None:
    """What a `create` that was killed has left: a directory without a record."""
    store.check_id(container_id)
    directory = os.path.join(settings.root, container_id)
    if not os.path.exists(os.path.join(directory, store.STATE)):
        store.discard(directory)
