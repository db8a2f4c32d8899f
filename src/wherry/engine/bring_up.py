"""The walk from a record to a process: network, files, root file system, plan, birth; undone backwards on error."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, ExitStack, suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import Birth, LogPlan, MountFd, Process, StartFailed
from wherry.engine.engine import Engine, Live
from wherry.engine.etc_files import write_files
from wherry.engine.inner_mounts import open_inner_mounts
from wherry.engine.joining import Joined, endpoint_requests, join, namespace_owner
from wherry.engine.links import announce_address, check_links
from wherry.engine.log_plan import log_plan
from wherry.engine.log_shipping import begin_shipping, open_sender
from wherry.engine.mounting import mounts_of
from wherry.engine.plan.spec import runtime_spec
from wherry.engine.request.mac import main_endpoint
from wherry.engine.surroundings import look_around
from wherry.engine.telling import tell_network, tell_networks
from wherry.engine.volume_mounts import hold_volumes, release_volumes, tell_unmounted
from wherry.logs.driver import Sender
from wherry.model.clock import now_ns
from wherry.model.config import NetworkingConfig
from wherry.model.container import Container, State
from wherry.model.errors import InvalidParameter, NotFound
from wherry.model.health import at_start
from wherry.model.network import Attachment
from wherry.model.state import Happening, Status, after
from wherry.oci.runtime import Spec

# dockerd's and runc's prefix; clients match on what follows (docker CLI: exit codes 126 and 127).
_BIRTH_FAILED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "unable to start container process: error during container init: {error}"
)
_LOG_FAILED = "failed to create task for container: failed to initialize logging driver: {error}"
EXIT_CODE_OF_FAILURE = 128
NOT_EXECUTABLE = (126, 127)


class Broken(StartFailed):
    """Not the program is what could not be run, but the container around it: dockerd answers 500 to that."""

    status = 500


async def bring_up(engine: Engine, container: Container, live: Live) -> Container:
    """Make the container's process; durable on return. The caller holds `live.lock`.

    Raises EngineError with dockerd's words; nothing is left behind then.
    """
    running = after(container.state.status, Happening.START)
    check_links(engine, container)
    container = await _with_its_mounts(engine, container)
    await live.forgotten()
    await live.unvisited()
    async with AsyncExitStack() as undo:
        plan, sender = await _open_log(engine, container, undo)
        held: list[Container] = []
        undo.callback(_tell_left, engine, container, held)
        joined = await join(engine, container)
        undo.push_async_callback(engine.networks.leave, joined.attachment)
        undo.callback(joined.close)
        container = await _named_as_its_owner(engine, container)
        crash_point("start.network-joined")
        await hold_volumes(engine, container, undo)
        held.append(container)
        expected = _expected(container, joined.attachment, running)
        # It becomes durable while the process is made; until that is there, memory does not say that it runs:
        # whoever reads so must be able to end it.
        foretold = engine.containers.foretell(container.id, _foretold(container, expected))
        process = await _give_birth(engine, container, live, joined, plan)
        undo.push_async_callback(_kill, engine, container, live, process)
        live.process = process
        crash_point("start.process-born")
        await foretold
        container = await _record_birth(engine, container, expected, process)
        undo.pop_all()
    crash_point("start.recorded")
    await announce_address(engine, container)
    await begin_shipping(engine, container, live, sender)
    return container


async def _with_its_mounts(engine: Engine, container: Container) -> Container:
    """Those that it was given while it ran are its own from now on."""
    if container.next_mounts is None:
        return container
    changed = await engine.change(
        container.id,
        lambda now: replace(now, mounts=now.mounts if now.next_mounts is None else now.next_mounts, next_mounts=None),
    )
    return replace(changed, state=container.state)


async def _named_as_its_owner(engine: Engine, container: Container) -> Container:
    """In another container's network it has that one's host name (moby initializeNetworking)."""
    owner = namespace_owner(engine, container, "network")
    if owner is None:
        return container
    hostname, domainname = owner.config.hostname, owner.config.domainname
    config = replace(container.config, hostname=hostname, domainname=domainname)
    if config == container.config:
        return container
    changed = await engine.change(container.id, lambda now: replace(now, config=config))
    return replace(changed, state=container.state)


def _expected(container: Container, attachment: Attachment, status: Status) -> Container:
    """What it is to be once its process is there, but for the pid."""
    state = State(
        status=status,
        started_ns=now_ns(),
        finished_ns=container.state.finished_ns,
        restart_count=container.state.restart_count,
        health=at_start(container.config, container.state.health),
    )
    networking = _with_network_ids(container.networking, attachment)
    return replace(container, attachment=attachment, networking=networking, state=state)


def _with_network_ids(said: NetworkingConfig, attachment: Attachment) -> NetworkingConfig:
    """Inspect shows of a container that ended which networks it was on."""
    wishes = dict(said.endpoints_config or {})
    for endpoint in attachment.endpoints:
        name, wish = main_endpoint(said, endpoint.network_name)
        wishes[name] = replace(wish, network_id=endpoint.network_id)
    return NetworkingConfig(endpoints_config=wishes or None)


def _foretold(before: Container, expected: Container) -> Container:
    """Without a pid, and with how the run before ended: should there never be a process, that is what remains."""
    told = expected.state
    kept = replace(before.state, error="", oom_killed=False, stopped_by_user=False)
    state = replace(kept, status=told.status, started_ns=told.started_ns, pid=0)
    return replace(expected, state=state)


async def _record_birth(engine: Engine, before: Container, expected: Container, process: Process) -> Container:
    """Memory says that it runs; durable is all but the pid and the very moment, for which start-up asks the driver."""
    current = engine.containers.get(before.id)
    assert current is not None, "nobody removes a container while it is started"
    state = replace(expected.state, pid=process.pid, started_ns=process.started_ns)
    born = replace(current, attachment=expected.attachment, networking=expected.networking, state=state)
    if current is before:
        engine.containers.hold(born.id, born)
    else:
        # Somebody changed it meanwhile, and wrote over what was foretold.
        await engine.containers.put(born.id, born)
    await engine.announce_change(born.id)
    return born


async def take_down(engine: Engine, container: Container, live: Live) -> None:
    """Give back what a dead container still has: its network and its volumes. Safe to repeat."""
    live.process = live.killed = None
    if container.attachment is not None:
        await engine.networks.leave(container.attachment)
        tell_networks(engine, container, "disconnect")
    await release_volumes(engine, container)


async def _give_birth(engine: Engine, container: Container, live: Live, joined: Joined, log: LogPlan) -> Process:
    with ExitStack() as held:
        spec, rootfs_fd, mounts = await asyncio.to_thread(_get_ready, engine, container, joined, held)
        sessions = live.hand_over_sessions()
        birth = Birth(
            id=container.id,
            spec=spec,
            rootfs_fd=rootfs_fd,
            mounts=mounts,
            log=log,
            netns_fd=joined.hand_over_namespace(),
            held_fds=joined.hand_over_reservations(),
            open_stdin=container.config.open_stdin,
            stdin_once=container.config.stdin_once,
            # Of what the user mounted he may wait for the end of the mounts.
            mounts_linger=not container.mounts,
            sessions=sessions,
            terminal_size=container.host_config.console_size,
        )
        try:
            process = await engine.driver_of(container).start(birth)
        except StartFailed as error:
            kind = StartFailed if error.exit_code in NOT_EXECUTABLE else Broken
            raise kind(_BIRTH_FAILED.format(error=error), error.exit_code) from None
        live.holders.update({session.key: process for session in sessions if session.key})
        return process


async def _open_log(engine: Engine, container: Container, undo: AsyncExitStack) -> tuple[LogPlan, Sender | None]:
    """Raises Broken: values of log options that are wrong, and servers that are not there, dockerd finds now."""
    try:
        return log_plan(engine, container), await open_sender(engine, container, undo)
    except (InvalidParameter, OSError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Broken(_LOG_FAILED.format(error=words), EXIT_CODE_OF_FAILURE) from None


def _get_ready(
    engine: Engine, container: Container, joined: Joined, held: ExitStack
) -> tuple[Spec, int, tuple[MountFd, ...]]:
    """What asks the disk, all in one go: the spec, the root file system's descriptor, and mounts that have no path.

    The descriptors are the caller's; what the spec names by descriptor is good until `held` is closed.
    """
    files = write_files(engine, container, joined)
    crash_point("start.files-written")
    # After the machine's end there is no container with --rm any more.
    with engine.storage.open(container.id, fleeting=container.host_config.auto_remove) as root:
        crash_point("start.root-opened")
        around = look_around(engine, container, root_fd=root.fd)
        container, mounts = open_inner_mounts(engine, container, held)
        try:
            spec = runtime_spec(container, around, mounts_of(container, files=files, around=around))
            return spec, os.dup(root.fd), mounts
        except BaseException:
            for each in mounts:
                os.close(each.fd)
            raise


def _tell_left(engine: Engine, container: Container, held: list[Container]) -> None:
    """A start that failed: as dockerd does, say of its networks that it left them although it never came."""
    for name in endpoint_requests(container):
        with suppress(NotFound):
            tell_network(engine, container, "disconnect", engine.networks.find(name))
    for each in held:
        tell_unmounted(engine, each)


async def _kill(engine: Engine, container: Container, live: Live, process: Process) -> None:
    live.process = live.killed = None
    await process.signal(signal.SIGKILL)
    await process.wait()
    await engine.driver_of(container).forget(container.id)
