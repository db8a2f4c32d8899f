"""What the monitor's messages mean to the engine, and the engine's wishes to the monitor."""

from wherry.drivers.driver import ExitStatus, ProcessGone, Session, StartFailed
from wherry.model.errors import Conflict, EngineError
from wherry.monitor.messages import ExitRecord, Refused, SessionPlan


def plan_of(session: Session) -> SessionPlan:
    """A session as monitors are told of it."""
    return SessionPlan(
        stdin=session.stdin,
        stdout=session.stdout,
        stderr=session.stderr,
        framed=session.framed,
        detach_keys=session.detach_keys,
        key=session.key,
    )


def status_of(record: ExitRecord) -> ExitStatus:
    """An exit record as the engine reads it."""
    return ExitStatus(code=record.code, finished_ns=record.finished_ns, oom_killed=record.oom_killed)


def error_of(refused: Refused) -> EngineError:
    """Why a monitor did not do what it was asked for."""
    if refused.gone:
        return ProcessGone(refused.message)
    if refused.conflict:
        return Conflict(refused.message)
    if refused.exit_code:
        return StartFailed(refused.message, refused.exit_code)
    return EngineError(refused.message)
