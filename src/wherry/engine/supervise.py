"""The task that owns a container's life: waits for its end, records it, restarts it by its policy, removes it."""

import asyncio
import logging
import signal
from dataclasses import dataclass

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ExitStatus, Process
from wherry.engine.bring_up import bring_up, take_down
from wherry.engine.discard import discard
from wherry.engine.engine import Engine, Live
from wherry.engine.health import health_checks
from wherry.engine.telling import tell, tell_networks
from wherry.model.clock import NANOSECONDS
from wherry.model.config import RestartPolicy
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError
from wherry.model.health import unwatched
from wherry.model.state import Happening, Status, after

# moby restartmanager: 100 ms, doubled each time up to a minute, forgotten after ten good seconds.
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 60.0
GOOD_RUN_SECONDS = 10.0

log = logging.getLogger(__name__)


def wants_restart(policy: RestartPolicy, *, exit_code: int, restarts: int, stopped_by_user: bool) -> bool:
    """Whether a container that ended by itself is started again (moby restartmanager.ShouldRestart)."""
    match policy.name:
        case "always":
            return True
        case "unless-stopped":
            return not stopped_by_user
        case "on-failure":
            left = not policy.maximum_retry_count or restarts < policy.maximum_retry_count
            return left and exit_code != 0
        case _:
            return False


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start."""

    seconds: float = 0.0

    def next(self, *, ran_seconds: float) -> float:
        """The pause after a run of that length."""
        if ran_seconds >= GOOD_RUN_SECONDS or not self.seconds:
            self.seconds = PAUSE_SECONDS_FIRST
        else:
            self.seconds = min(self.seconds * 2, PAUSE_SECONDS_MAX)
        return self.seconds


def watch(engine: Engine, container_id: str, process: Process) -> None:
    """Begin to supervise a container that runs."""
    live = engine.live_of(container_id)
    live.process = process
    live.supervisor = engine.background(_supervise(engine, container_id, live), name=f"watch {container_id}")


def watch_pause(engine: Engine, container_id: str) -> None:
    """Begin to supervise a container that waits for its restart, after the daemon itself was restarted."""
    live = engine.live_of(container_id)
    live.supervisor = engine.background(_supervise(engine, container_id, live), name=f"watch {container_id}")


def _watch_memory(engine: Engine, container_id: str, process: Process) -> None:
    def ran_out() -> None:
        engine.background(_note_lack_of_memory(engine, container_id, process), name=f"memory of {container_id}")

    container = engine.containers.get(container_id)
    process.watch_memory(ran_out, told=container is not None and container.state.oom_killed)


def _watch_detaching(engine: Engine, container_id: str, process: Process) -> None:
    def left() -> None:
        container = engine.containers.get(container_id)
        if container is not None:
            tell(engine, container, "detach")

    process.watch_detaching(left)


async def _note_lack_of_memory(engine: Engine, container_id: str, process: Process) -> None:
    """Not only its end, also that of a child of its is told and recorded (moby ProcessEvent, EventOOM)."""
    live = engine.live_of(container_id)
    async with live.lock:
        if live.process is not process:
            return  # its end has told it
        container = engine.containers.get(container_id)
        if container is not None and not container.state.oom_killed:
            container = await engine.change(container_id, _out_of_memory)
            crash_point("memory.recorded")
        if container is not None:
            tell(engine, container, "oom")


def _out_of_memory(container: Container) -> Container:
    return replace(container, state=replace(container.state, oom_killed=True))


async def settle(engine: Engine, container_id: str, status: ExitStatus) -> None:
    """Record an end: freed resources, state, events, waiters woken; what the driver kept goes last."""
    live = engine.live_of(container_id)
    async with live.lock:
        old = engine.containers.get(container_id)
        assert old is not None, "a container is removed only after its end was recorded"
        crash_point("end.known")
        if status.oom_killed and not old.state.oom_killed:
            tell(engine, old, "oom")
        await take_down(engine, old, live)
        crash_point("end.taken-down")
        happening = Happening.AWAIT_RESTART if _will_restart(old, live, status) else Happening.DIE
        live.last_exit = status
        live.exits += 1
        live.doomed = happening is Happening.DIE and (live.doomed or _removes_itself(old, live))
        container = await _record_end(engine, old, live, status, happening)
        _tell_end(engine, old, container, status)
        if not live.doomed:
            forget = engine.driver_of(container).forget(container_id)
            live.forgetting = engine.background(forget, name=f"forget {container_id}")


async def _record_end(
    engine: Engine, old: Container, live: Live, status: ExitStatus, happening: Happening
) -> Container:
    """The record of its end, durable unless its removal follows: until then the driver's exit record has it."""
    if live.doomed:
        container = _ended(engine.containers.get(old.id) or old, status, happening)
        engine.containers.hold(old.id, container)
        await engine.announce_change(old.id)
        return container
    container = await engine.change(old.id, lambda current: _ended(current, status, happening))
    crash_point("end.recorded")
    return container


def _tell_end(engine: Engine, old: Container, container: Container, status: ExitStatus) -> None:
    ran_ns = max(0, status.finished_ns - old.state.started_ns)
    tell(engine, container, "die", exitCode=str(status.code), execDuration=str(ran_ns // NANOSECONDS))


async def _supervise(engine: Engine, container_id: str, live: Live) -> None:
    backoff = Backoff()
    while True:
        if live.process is not None:
            _watch_memory(engine, container_id, live.process)
            _watch_detaching(engine, container_id, live.process)
            with health_checks(engine, container_id):
                status = await live.process.wait()
            await settle(engine, container_id, status)
        if not await _starts_again(engine, container_id, live, backoff):
            break
    container = engine.containers.get(container_id)
    if container is not None and _removes_itself(container, live):
        crash_point("end.removes-itself")
        await _remove(engine, container)


def _removes_itself(container: Container, live: Live) -> bool:
    return container.host_config.auto_remove and not live.keep


async def _remove(engine: Engine, container: Container) -> None:
    try:
        await discard(engine, container.id, volumes=True)
    except Conflict:
        log.debug("container %s is being removed by somebody else", container.id)
    except (EngineError, OSError):
        log.exception("container %s could not be removed after its end", container.id)


async def _starts_again(engine: Engine, container_id: str, live: Live, backoff: Backoff) -> bool:
    """Wait the policy's pause and start. False when the container has ended for good."""
    container = engine.containers.get(container_id)
    if container is None or container.state.status is not Status.RESTARTING:
        return False
    ran_ns = container.state.finished_ns - container.state.started_ns
    if await _stop_wanted_within(live, backoff.next(ran_seconds=ran_ns / NANOSECONDS)):
        await engine.change(container_id, lambda current: _gave_up(current, ""))
        return False
    crash_point("restart.wanted")
    try:
        async with live.lock:
            container = await bring_up(engine, container, live)
            if live.stop_wanted.is_set() and live.process is not None:
                # Somebody asked for the end while it was being made.
                await live.process.signal(signal.SIGKILL)
    except (EngineError, OSError) as error:
        log.warning("container %s could not be restarted: %s", container_id, error)
        words = str(error)
        await engine.change(container_id, lambda current: _gave_up(current, words))
        return False
    tell_networks(engine, container, "connect")
    tell(engine, container, "start")
    return True


async def _stop_wanted_within(live: Live, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await live.stop_wanted.wait()
    except TimeoutError:
        return False
    return True


def _will_restart(container: Container, live: Live, status: ExitStatus) -> bool:
    return not live.stop_wanted.is_set() and wants_restart(
        container.host_config.restart_policy,
        exit_code=status.code,
        restarts=container.state.restart_count,
        stopped_by_user=container.state.stopped_by_user,
    )


def _ended(container: Container, status: ExitStatus, happening: Happening) -> Container:
    state = container.state
    ended = replace(
        state,
        status=after(state.status, happening),
        pid=0,
        exit_code=status.code,
        oom_killed=status.oom_killed or state.oom_killed,
        finished_ns=status.finished_ns,
        restart_count=state.restart_count + (happening is Happening.AWAIT_RESTART),
        health=unwatched(state.health),
    )
    return replace(container, attachment=None, state=ended)


def _gave_up(container: Container, error: str) -> Container:
    status = after(container.state.status, Happening.GIVE_UP)
    return replace(container, state=replace(container.state, status=status, error=error))
