"""Sessions: containers and volumes that go when the last connection of those that made them has ended.

A session is recorded durably before its id is told, so that a daemon that comes back knows it: its clients then have
`RETURN_SECONDS`, or its own grace if that is longer, to hold it again. What carries the session's label is removed,
running or not, with its anonymous volumes. A session that ends takes nothing more in.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from wherry.crashpoints import crash_point
from wherry.engine.engine import Engine, LiveSession
from wherry.engine.remove import remove
from wherry.engine.volumes import create_volume, remove_volume
from wherry.engine.wait import gone
from wherry.model.clock import now_ns
from wherry.model.errors import Conflict, EngineError, InvalidParameter, NotFound
from wherry.model.session import LABEL, SessionRecord
from wherry.model.volume import Volume

# How long clients have to come back to a daemon that was started anew.
RETURN_SECONDS = 10.0
GRACE_SECONDS_MAX = 86400.0
SESSIONS_MAX = 4096

# Somebody else's removal may fail, and then it is ours to do.
REMOVALS_MAX = 5
REMOVAL_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeWish:
    """A volume that somebody wants."""

    name: str
    driver: str
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session, and what is set when it ends although it is held."""

    record: SessionRecord
    closed: asyncio.Event


async def open_session(engine: Engine, *, grace_seconds: float = 0.0) -> SessionRecord:
    """Make a session that nobody holds yet; durable on return. Raises InvalidParameter, Conflict."""
    if not 0 <= grace_seconds <= GRACE_SECONDS_MAX:
        raise InvalidParameter(f"invalid grace: {grace_seconds:g}: must be between 0 and {GRACE_SECONDS_MAX:g} seconds")
    if len(engine.sessions.keys()) >= SESSIONS_MAX:
        raise Conflict(f"there are {SESSIONS_MAX} sessions already")
    record = SessionRecord(id=secrets.token_hex(16), opened_ns=now_ns(), grace_seconds=grace_seconds)
    await engine.sessions.put(record.id, record)
    crash_point("session.opened")
    # A client that goes before it holds the session will never come.
    _end_later(engine, record, engine.live_sessions.setdefault(record.id, LiveSession()), seconds=RETURN_SECONDS)
    return record


@asynccontextmanager
async def holding_session(engine: Engine, session_id: str) -> AsyncIterator[HeldSession]:
    """Keep a session for the time of the context; the last one to leave ends it. Raises NotFound."""
    record, live = _open(engine, session_id)
    live.holders += 1
    _stop_waiting(live)
    try:
        yield HeldSession(record, live.closed)
    finally:
        live.holders -= 1
        # What a daemon's own end cuts off is no client's leaving.
        if not live.holders and not live.closed.is_set() and not engine.closing:
            _end_later(engine, record, live, seconds=record.grace_seconds)


def check_session(engine: Engine, labels: Mapping[str, str] | None) -> None:
    """Raise InvalidParameter when labels name a session that is not there, or not any more."""
    session_id = (labels or {}).get(LABEL)
    if session_id is not None:
        try:
            _open(engine, session_id)
        except NotFound as error:
            raise InvalidParameter(str(error)) from None


async def create_volume_in_session(engine: Engine, request: VolumeWish) -> Volume:
    """Make a volume, in a session if its labels say so. Raises what `create_volume` does; InvalidParameter."""
    check_session(engine, request.labels)
    volume = await create_volume(
        engine, request.name, driver=request.driver, options=request.options, labels=request.labels
    )
    try:
        check_session(engine, request.labels)
    except InvalidParameter:
        with suppress(EngineError):  # it was found, and is being removed
            await remove_volume(engine, volume.name, force=True)
        raise
    return volume


async def end_session(engine: Engine, session_id: str) -> None:
    """End a session now, whoever holds it; on return nothing of it is left. Raises NotFound."""
    record, live = _open(engine, session_id)
    _stop_waiting(live)
    await _end(engine, record, live)


def resume_sessions(engine: Engine) -> None:
    """For a daemon that begins: wait for the clients of the last one."""
    for record in engine.sessions.values():
        live = engine.live_sessions.setdefault(record.id, LiveSession())
        if not live.holders:
            _end_later(engine, record, live, seconds=max(record.grace_seconds, RETURN_SECONDS))


def leave_sessions(engine: Engine) -> None:
    """For a daemon that ends: what waits for clients goes on with the next one."""
    for live in engine.live_sessions.values():
        _stop_waiting(live)
        if live.ending is not None:
            live.ending.cancel()


def _open(engine: Engine, session_id: str) -> tuple[SessionRecord, LiveSession]:
    record = engine.sessions.get(session_id)
    live = engine.live_sessions.setdefault(session_id, LiveSession()) if record else None
    if record is None or live is None or live.closed.is_set():
        raise NotFound(f"No such session: {session_id}")
    return record, live


def _end_later(engine: Engine, record: SessionRecord, live: LiveSession, *, seconds: float) -> None:
    def begin() -> None:
        live.waiting = None
        live.ending = engine.background(_end(engine, record, live), name=f"end session {record.id}")

    live.waiting = asyncio.get_running_loop().call_later(seconds, begin)


def _stop_waiting(live: LiveSession) -> None:
    if live.waiting is not None:
        live.waiting.cancel()
        live.waiting = None


async def _end(engine: Engine, record: SessionRecord, live: LiveSession) -> None:
    live.closed.set()
    crash_point("session.ending")
    containers = [one.id for one in engine.containers.values() if _belongs(one.config.labels, record)]
    async with asyncio.TaskGroup() as removals:
        for container_id in containers:
            removals.create_task(_remove(engine, container_id))
    crash_point("session.containers-removed")
    for name in [one.name for one in engine.volumes.list() if _belongs(one.labels, record)]:
        with suppress(EngineError):  # it is used by somebody outside of the session, and so stays
            await remove_volume(engine, name, force=True)
    await engine.sessions.remove(record.id)
    engine.live_sessions.pop(record.id, None)
    crash_point("session.ended")


def _belongs(labels: Mapping[str, str] | None, record: SessionRecord) -> bool:
    return (labels or {}).get(LABEL) == record.id


async def _remove(engine: Engine, container_id: str) -> None:
    """Remove a container by force; one that somebody else is just removing is waited for."""
    for _ in range(REMOVALS_MAX):
        try:
            await remove(engine, container_id, force=True, volumes=True)
        except NotFound:
            return
        except Conflict:
            with suppress(TimeoutError):
                async with asyncio.timeout(REMOVAL_SECONDS):
                    await gone(engine, container_id)
        except (EngineError, OSError):
            log.exception("container %s could not be removed with its session", container_id)
            return
