"""The daemon's own beginning and end: what is recorded, what is found, and the changes between the two."""

import asyncio
import logging
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ExitStatus, Process, ProcessGone
from wherry.engine.discard import erase
from wherry.engine.engine import Engine
from wherry.engine.exec import find_execs
from wherry.engine.healing import begin_healing
from wherry.engine.links import announce_addresses
from wherry.engine.log_shipping import resume_shipping, stop_shipping
from wherry.engine.rebuild import rebuild
from wherry.engine.reconfigure import settle_ports
from wherry.engine.sessions import leave_sessions, resume_sessions
from wherry.engine.snapshots import wanted_snapshots
from wherry.engine.start import start
from wherry.engine.supervise import settle, wants_restart, watch, watch_pause
from wherry.engine.update import undo_update
from wherry.engine.volume_mounts import hold_again
from wherry.images.derived import provide_missing
from wherry.images.garbage import sweep
from wherry.images.index import catch_up, keep_index
from wherry.model.clock import now_ns
from wherry.model.container import Container, State
from wherry.model.errors import EngineError
from wherry.model.health import at_start
from wherry.model.network import Attachment
from wherry.model.state import Status

# The code of a container whose end nobody saw, as dockerd's.
EXIT_CODE_UNKNOWN = 255

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Goes:
    """It runs: be there for it."""

    container: Container
    process: Process


@dataclass(frozen=True, slots=True)
class Died:
    """It ended while no daemon was there: record it."""

    container: Container
    status: ExitStatus


@dataclass(frozen=True, slots=True)
class Unborn:
    """Its start was recorded, but there never was a process: it is as it was before."""

    container: Container


@dataclass(frozen=True, slots=True)
class HalfRemoved:
    """Its removal was begun: end it."""

    container: Container


@dataclass(frozen=True, slots=True)
class Waits:
    """It waited for its restart: go on waiting."""

    container: Container


@dataclass(frozen=True, slots=True)
class Rests:
    """Nothing to do."""

    container: Container


Finding = Goes | Died | Unborn | HalfRemoved | Waits | Rests


async def open_engine(engine: Engine) -> None:
    """Converge: meet what runs, record what ended, finish what was begun, sweep the unknown, start what should run.

    Raises EngineError, OSError when a room cannot be opened at all.
    """
    for driver in engine.drivers.values():
        await driver.open()
    crash_point("open.drivers-opened")
    findings = [await _look(engine, container) for container in engine.containers.values()]
    await engine.networks.open(_attached(findings))
    crash_point("open.networks-opened")
    # Those that run first: what they hold is not let go of for the sake of those that ended.
    for finding in sorted(findings, key=lambda finding: not isinstance(finding, Goes)):
        await _converge(engine, finding)
    await announce_addresses(engine)
    crash_point("open.converged")
    await resume_shipping(engine)
    await _sweep(engine)
    crash_point("open.swept")
    engine.background(provide_missing(engine.library), name="write the content of layers")
    await rebuild(engine)
    crash_point("open.rebuilt")
    for finding in findings:
        _autostart(engine, finding)
    resume_sessions(engine)
    engine.standing += [begin_healing(engine), engine.background(keep_index(engine.library), name="keep the index")]


async def close_engine(engine: Engine) -> None:
    """Let go: containers run on under their monitors."""
    engine.closing = True
    leave_sessions(engine)
    for task in engine.standing:
        task.cancel()
    await catch_up(engine.library)
    for live in engine.live.values():
        if live.supervisor is not None:
            live.supervisor.cancel()
        await stop_shipping(live)
        live.close_sessions()
    await engine.networks.close()
    for driver in engine.drivers.values():
        await driver.close()


async def _look(engine: Engine, container: Container) -> Finding:
    """What has become of a container. Looking changes nothing."""
    status = container.state.status
    if status is Status.REMOVING:
        return HalfRemoved(container)
    found = await engine.driver_of(container).adopt(container.id)
    if found is not None and not isinstance(found, ExitStatus):
        return Goes(container, found)
    if container.state.is_alive and found is None and not container.state.pid and _began_in_this_boot(container):
        return Unborn(container)
    if container.state.is_alive:
        return Died(container, found or ExitStatus(code=EXIT_CODE_UNKNOWN, finished_ns=now_ns()))
    return Waits(container) if status is Status.RESTARTING else Rests(container)


def _began_in_this_boot(container: Container) -> bool:
    """What ran before the machine was started anew has left the driver no trace either; but it did run."""
    return container.state.started_ns > now_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _attached(findings: Iterable[Finding]) -> list[Attachment]:
    return [
        finding.container.attachment
        for finding in findings
        if isinstance(finding, Goes) and finding.container.attachment is not None
    ]


async def _converge(engine: Engine, finding: Finding) -> None:
    match finding:
        case Goes(container, process):
            await _meet(engine, container, process)
        case Died(container, status):
            await settle(engine, container.id, status)
            _continue_policy(engine, container)
        case Unborn(container):
            await engine.driver_of(container).forget(container.id)
            await engine.change(container.id, _as_before)
            _continue_policy(engine, container)
        case HalfRemoved(container):
            await _finish_removal(engine, container)
        case Waits(container):
            # An end that is recorded may still be with the driver, and so may that of a restart that was not.
            await engine.driver_of(container).forget(container.id)
            watch_pause(engine, container.id)
        case Rests(container):
            await engine.driver_of(container).forget(container.id)
            if container.host_config.auto_remove:
                watch_pause(engine, container.id)


async def _meet(engine: Engine, container: Container, process: Process) -> None:
    """A process that the record does not know was born just before the crash: its start was never announced."""
    if container.state.is_alive:
        await hold_again(engine, container)
        await settle_ports(engine, container, process)
        await _note_birth(engine, container, process)
        await _freeze_as_recorded(container, process)
        await _limit_as_recorded(engine, container, process)
        watch(engine, container.id, process)
        find_execs(engine, container, process)
        return
    await process.signal(9)
    await process.wait()
    await engine.driver_of(container).forget(container.id)
    _continue_policy(engine, container)


async def _freeze_as_recorded(container: Container, process: Process) -> None:
    """A pause or its end that was cut short did not happen."""
    try:
        await (process.pause() if container.state.status is Status.PAUSED else process.resume())
    except ProcessGone:
        pass  # its end is what is recorded next
    except EngineError:
        log.exception("container %s may be frozen though it is not recorded as paused, or not frozen", container.id)


async def _limit_as_recorded(engine: Engine, container: Container, process: Process) -> None:
    try:
        await undo_update(engine, container, process)
    except EngineError:
        log.exception("container %s may have limits of an update that was cut short", container.id)


async def _note_birth(engine: Engine, container: Container, process: Process) -> None:
    """The record may be from before the birth that it told of."""
    if (container.state.pid, container.state.started_ns) != (process.pid, process.started_ns):
        state = container.state
        born = State(
            status=state.status,
            pid=process.pid,
            started_ns=process.started_ns,
            finished_ns=state.finished_ns,
            restart_count=state.restart_count,
            stopped_by_user=state.stopped_by_user,
            health=at_start(container.config, state.health),
        )
        await engine.change(container.id, lambda current: replace(current, state=born))


def _as_before(container: Container) -> Container:
    """What it was when its start was foretold: never started, ended, or between two runs."""
    state = container.state
    again = wants_restart(
        container.host_config.restart_policy,
        exit_code=state.exit_code,
        restarts=state.restart_count,
        stopped_by_user=state.stopped_by_user,
    )
    ended = Status.RESTARTING if again and state.restart_count else Status.EXITED
    status = ended if state.finished_ns else Status.CREATED
    started_ns = min(state.started_ns, state.finished_ns)
    return replace(container, attachment=None, state=replace(state, status=status, started_ns=started_ns))


def _continue_policy(engine: Engine, container: Container) -> None:
    now = engine.containers.get(container.id)
    if now is not None and (now.state.status is Status.RESTARTING or now.host_config.auto_remove):
        watch_pause(engine, container.id)


async def _finish_removal(engine: Engine, container: Container) -> None:
    try:
        await erase(engine, container, volumes=container.host_config.auto_remove)
    except (EngineError, OSError):
        log.exception("the removal of container %s could not be finished", container.id)
        await engine.change(container.id, lambda now: replace(now, state=replace(now.state, status=Status.DEAD)))


async def _sweep(engine: Engine) -> None:
    """Remove what no record knows: directories of containers and snapshots that a crash left."""
    known = {container.id for container in engine.containers.values()}
    for driver in engine.drivers.values():
        for container_id in await driver.sweep(known):
            log.info("removed container %s, which no record knows", container_id)
    directory = engine.directory("x").parent
    for path in directory.iterdir() if directory.exists() else ():
        if path.name not in known:
            log.info("removing %s, which no record knows", path)
            shutil.rmtree(path, ignore_errors=True)
    for name in await engine.volumes.recover():
        log.info("removed volume %s, which no record knows", name)
    for name in await sweep(engine.library):
        log.info("removed %s of the content, which no image needs", name)
    for key in await asyncio.to_thread(engine.storage.sweep, wanted_snapshots(engine)):
        log.info("removed snapshot %s, which no record knows", key)


def _autostart(engine: Engine, finding: Finding) -> None:
    """After a reboot (or a daemon that was away) start what its policy wants running."""
    container = engine.containers.get(finding.container.id)
    if container is None or isinstance(finding, HalfRemoved):
        return
    policy = container.host_config.restart_policy
    ended = container.state.status is Status.EXITED
    wanted = policy.name in {"always", "unless-stopped"} and wants_restart(
        policy,
        exit_code=container.state.exit_code,
        restarts=container.state.restart_count,
        stopped_by_user=container.state.stopped_by_user,
    )
    if ended and wanted:
        engine.background(_start_quietly(engine, container), name=f"autostart {container.id}")


async def _start_quietly(engine: Engine, container: Container) -> None:
    try:
        await start(engine, container.id)
    except EngineError as error:
        log.warning("container %s could not be started: %s", container.id, error)
