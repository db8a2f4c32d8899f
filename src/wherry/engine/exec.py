"""Execs: a further process in a running container (`/containers/{id}/exec`, `/exec/{id}/…`)."""

import msgspec
from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ExecBirth, ExecProcess, Process, Session, StartFailed
from wherry.engine.containers import running
from wherry.engine.engine import Engine, LiveExec
from wherry.engine.exec_plan import exec_process, user_of
from wherry.engine.exec_record import Exec, ExecRequest
from wherry.engine.telling import tell, tell_exec
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.model.ids import new_id
from wherry.model.state import Status

# How many ended execs can still be inspected.
ENDED_EXECS_MAX = 256

_FAILED = "OCI runtime exec failed: exec failed: unable to start container process: {error}"


async def create_exec(engine: Engine, name: str, request: ExecRequest) -> str:
    """Record an exec and give its id. Raises NotFound, Conflict, InvalidParameter."""
    if not request.cmd:
        raise InvalidParameter("No exec command specified")
    container = running(engine, name)
    if request.user:
        await user_of(container, request)
    exec_id = new_id()
    crash_point("exec.checked")
    shown = replace(request, user=request.user or container.config.user)
    engine.execs[exec_id] = LiveExec(record=Exec(id=exec_id, container_id=container.id, request=shown))
    tell_exec(engine, container, "exec_create", request.cmd, exec_id)
    return exec_id


def prepare_exec(engine: Engine, exec_id: str) -> Exec:
    """The exec, if it can be started now. Raises NotFound, Conflict."""
    live = _find(engine, exec_id)
    if live.started:
        raise Conflict(
            f"exec command {exec_id} is already running"
            if live.record.exit_code is None
            else f"exec command {exec_id} has already run"
        )
    running(engine, live.record.container_id)
    return live.record


async def start_exec(
    engine: Engine,
    exec_id: str,
    *,
    session: Session | None = None,
    terminal_size: tuple[int, int] = (0, 0),
) -> ExecProcess:
    """Start an exec; it has executed its program on return. Raises StartFailed, Conflict, NotFound.

    The session's socket is the engine's from the call on.
    """
    try:
        live, container, process = _ready(engine, exec_id)
        live.started = True
        try:
            return await _begin(engine, container, process, live, session, terminal_size)
        finally:
            live.settled.set()
    except BaseException:
        if session is not None:
            session.socket.close()
        raise


def check_container(engine: Engine, exec_id: str) -> Exec:
    """The exec, if its container runs. Raises NotFound (also when the container has ended), Conflict when paused."""
    record = _find(engine, exec_id).record
    if not _is_up(engine, record):
        raise NotFound(f"No such exec instance: {exec_id}")
    running(engine, record.container_id)
    return record


def inspect_exec(engine: Engine, exec_id: str) -> Exec:
    """The exec's record. Raises NotFound, also when it never started and its container has ended."""
    live = _find(engine, exec_id)
    if not live.started and not _is_up(engine, live.record):
        raise NotFound(f"No such exec instance: {exec_id}")
    return live.record


def find_execs(engine: Engine, container: Container, process: Process) -> None:
    """Know the execs again that a daemon before us had started."""
    for found in process.found_execs():
        try:
            request = msgspec.json.decode(found.note, type=ExecRequest)
        except msgspec.DecodeError:
            continue  # it was started by nobody who wanted to know it again
        record = Exec(id=found.id, container_id=container.id, request=request, pid=found.pid)
        live = engine.execs[found.id] = LiveExec(record=record, process=found.process, started=True)
        live.settled.set()
        if found.process is not None:
            live.record = replace(record, running=True)
            engine.background(_watch(engine, container, live, found.process), name=f"exec {found.id}")
        elif found.status is not None:
            live.record = replace(record, exit_code=found.status.code)
            _remember(engine, live)


async def resize_exec(engine: Engine, exec_id: str, *, height: int, width: int) -> None:
    """Set the size of a running exec's terminal. Raises NotFound, InvalidParameter."""
    live = _find(engine, exec_id)
    if live.started:  # a client asks at once, while its exec is still on its way
        await live.settled.wait()
    if live.process is None:
        if live.record.pid == 0:
            raise InvalidParameter("exec process is not started")
        raise NotFound(f"process does not exist {exec_id}: not found")
    await live.process.resize(height=height, width=width)


def _is_up(engine: Engine, record: Exec) -> bool:
    container = engine.containers.get(record.container_id)
    return container is not None and (container.state.is_alive or container.state.status is Status.RESTARTING)


def _ready(engine: Engine, exec_id: str) -> tuple[LiveExec, Container, Process]:
    container = running(engine, prepare_exec(engine, exec_id).container_id)
    process = engine.live_of(container.id).process
    if process is None:
        raise Conflict(f"container {container.id} is not running")
    return engine.execs[exec_id], container, process


def _find(engine: Engine, exec_id: str) -> LiveExec:
    try:
        return engine.execs[exec_id]
    except KeyError:
        raise NotFound(f"No such exec instance: {exec_id}") from None


async def _begin(
    engine: Engine,
    container: Container,
    process: Process,
    live: LiveExec,
    session: Session | None,
    terminal_size: tuple[int, int],
) -> ExecProcess:
    request = live.record.request
    birth = ExecBirth(
        id=live.record.id,
        process=await exec_process(engine, container, request),
        session=session,
        open_stdin=request.attach_stdin,
        privileged=request.privileged,
        terminal_size=terminal_size if any(terminal_size) else request.console_size or (0, 0),
        note=msgspec.json.encode(request).decode(),
    )
    # As dockerd: told of one that fails, too.
    tell_exec(engine, container, "exec_start", request.cmd or (), live.record.id)
    try:
        live.process = begun = await process.exec(birth)
        crash_point("exec.born")
    except StartFailed as error:
        live.record = replace(live.record, exit_code=error.exit_code)
        _remember(engine, live)
        raise StartFailed(_FAILED.format(error=error), error.exit_code) from None
    live.record = replace(live.record, running=True, pid=begun.pid)
    engine.background(_watch(engine, container, live, begun), name=f"exec {live.record.id}")
    return begun


async def _watch(engine: Engine, container: Container, live: LiveExec, process: ExecProcess) -> None:
    status = await process.wait()
    crash_point("exec.ended")
    live.process = None
    live.record = replace(live.record, running=False, exit_code=status.code)
    _remember(engine, live)
    tell(engine, container, "exec_die", execID=live.record.id, exitCode=str(status.code))


def _remember(engine: Engine, live: LiveExec) -> None:
    """Keep an exec that has ended for whoever asks how, and forget the one that ended the longest time ago.

    A container may live for years and be asked for its health every second; dockerd forgets execs after minutes.
    """
    engine.ended_execs.append(live.record.id)
    while len(engine.ended_execs) > ENDED_EXECS_MAX:
        engine.execs.pop(engine.ended_execs.popleft(), None)
