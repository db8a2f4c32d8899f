"""`POST /containers/{id}/kill`: one signal to the first process."""

import asyncio
import signal

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ProcessGone
from wherry.engine.containers import find
from wherry.engine.engine import Engine, Live
from wherry.engine.request.signals import parse_signal, supported_signal
from wherry.engine.telling import tell
from wherry.engine.wait import ended
from wherry.engine.wording import told
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.state import Happening, Status, after


async def kill(engine: Engine, name: str, *, signal_name: str = "") -> None:
    """Send a signal, SIGKILL by default, which is waited for.

    Raises InvalidParameter, NotFound, Conflict when the container does not run.
    """
    with told(f"cannot kill container: {name}"):
        number = supported_signal(signal_name) if signal_name else signal.SIGKILL
        container = find(engine, name)
        waits = container.state.status is Status.RESTARTING
        if not container.state.is_alive and not waits:
            raise Conflict(f"container {container.id} is not running")
    for_good = _asks_for_end(container, number)
    await deliver(engine, container, number, for_good=for_good)
    if number == signal.SIGKILL or (waits and for_good):
        await ended(engine, container.id)


async def deliver(engine: Engine, container: Container, number: int, *, for_good: bool = True) -> None:
    """Send a signal, if there is a process to get it; one for good ends the restart policy and thaws the container.

    A container that has just died is fine: that is what the signal was for.
    """
    live = engine.live_of(container.id)
    if not for_good:
        await _send(engine, container, live, number)
        return
    live.stop_wanted.set()
    # Before the end that it causes is recorded the wish is: memory has it now, and the ledger keeps the order.
    await asyncio.gather(_note_wish(engine, container.id, live), _send(engine, container, live, number))


async def _note_wish(engine: Engine, container_id: str, live: Live) -> None:
    """The user does not want it to run any more; no need to say so of what is about to be removed."""
    current = engine.containers.get(container_id)
    if current is not None and not current.state.stopped_by_user and not live.doomed:
        await engine.change(container_id, lambda now: replace(now, state=replace(now.state, stopped_by_user=True)))
        crash_point("kill.noted")


async def _send(engine: Engine, container: Container, live: Live, number: int) -> None:
    if live.process is None:
        return
    if number == signal.SIGKILL:
        # On cgroup v1 what is frozen does not die: nobody freezes it from now on.
        live.killed = live.process
    try:
        await live.process.signal(number)
        crash_point("kill.delivered")
        tell(engine, container, "kill", signal=str(int(number)))
        if container.state.status is Status.PAUSED:
            await _thaw(engine, container, silently=number == signal.SIGKILL)
    except ProcessGone:
        return


def _asks_for_end(container: Container, number: int) -> bool:
    """Moby killWithSignal: with a stop signal of its own only that (and SIGKILL) counts as stopping by the user."""
    own = container.config.stop_signal
    return number == signal.SIGKILL or not own or parse_signal(own) == number


async def _thaw(engine: Engine, container: Container, *, silently: bool) -> None:
    live = engine.live_of(container.id)
    async with live.lock:
        current = engine.containers.get(container.id)
        if live.process is None or current is None or current.state.status is not Status.PAUSED:
            return
        await live.process.resume()
        crash_point("kill.thawed")
        thawed = after(Status.PAUSED, Happening.UNPAUSE)
        await engine.change(container.id, lambda now: replace(now, state=replace(now.state, status=thawed)))
    if not silently:  # what is killed does not run again
        tell(engine, container, "unpause")
