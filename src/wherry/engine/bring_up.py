"""The walk from a record to a process: network, files, root file system, plan, birth; undone backwards on error."""

import os
import signal
from contextlib import AsyncExitStack

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import Birth, Process, StartFailed
from wherry.engine import rootfs
from wherry.engine.engine import Engine, Live
from wherry.engine.etc_files import write_files
from wherry.engine.joining import Joined, join
from wherry.engine.log_plan import log_plan
from wherry.engine.mounting import mounts_of
from wherry.engine.plan.spec import runtime_spec
from wherry.engine.surroundings import look_around
from wherry.engine.volume_mounts import hold_volumes, release_volumes
from wherry.model.container import Container, State
from wherry.model.state import Happening, after

# dockerd's and runc's prefix; clients match on what follows (docker CLI: exit codes 126 and 127).
_BIRTH_FAILED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "unable to start container process: error during container init: {error}"
)
NOT_EXECUTABLE = (126, 127)


class Broken(StartFailed):
    """Not the program is what could not be run, but the container around it: dockerd answers 500 to that."""

    status = 500


async def bring_up(engine: Engine, container: Container, live: Live) -> Container:
    """Make the container's process; durable on return. The caller holds `live.lock`.

    Raises EngineError with dockerd's words; nothing is left behind then.
    """
    running = after(container.state.status, Happening.START)
    async with AsyncExitStack() as undo:
        joined = await join(engine, container)
        undo.push_async_callback(engine.networks.leave, joined.attachment)
        undo.callback(joined.close)
        crash_point("start.network-joined")
        await hold_volumes(engine, container, undo)
        process = await _give_birth(engine, container, live, joined)
        undo.push_async_callback(_kill, engine, container, live, process)
        # Before the record says so: whoever reads that it runs must be able to end it.
        live.process = process
        crash_point("start.process-born")
        state = State(
            status=running,
            pid=process.pid,
            started_ns=process.started_ns,
            restart_count=container.state.restart_count,
        )
        container = await engine.change(
            container.id, lambda current: replace(current, attachment=joined.attachment, state=state)
        )
        undo.pop_all()
    crash_point("start.recorded")
    return container


async def take_down(engine: Engine, container: Container, live: Live) -> None:
    """Give back what a dead container still has: its network and its volumes. Safe to repeat."""
    live.process = None
    if container.attachment is not None:
        await engine.networks.leave(container.attachment)
    await release_volumes(engine, container)


async def _give_birth(engine: Engine, container: Container, live: Live, joined: Joined) -> Process:
    async with AsyncExitStack() as undo:
        files = await write_files(engine, container, joined)
        crash_point("start.files-written")
        root_fd = await rootfs.open_root(engine, container, undo)
        crash_point("start.root-opened")
        around = await look_around(engine, container, root_fd=root_fd)
        spec = runtime_spec(container, around, await mounts_of(container, files=files, around=around))
        birth = Birth(
            id=container.id,
            spec=spec,
            rootfs_fd=os.dup(root_fd),
            log=log_plan(container, engine.directory(container.id)),
            netns_fd=joined.hand_over_namespace(),
            held_fds=joined.hand_over_reservations(),
            open_stdin=container.config.open_stdin,
            stdin_once=container.config.stdin_once,
            sessions=live.hand_over_sessions(),
            terminal_size=container.host_config.console_size,
        )
        try:
            return await engine.driver_of(container).start(birth)
        except StartFailed as error:
            kind = StartFailed if error.exit_code in NOT_EXECUTABLE else Broken
            raise kind(_BIRTH_FAILED.format(error=error), error.exit_code) from None


async def _kill(engine: Engine, container: Container, live: Live, process: Process) -> None:
    live.process = None
    await process.signal(signal.SIGKILL)
    await process.wait()
    await engine.driver_of(container).forget(container.id)
