"""Verbs that do one thing to each container named: stop, kill, rm, pause and their like."""

from __future__ import annotations

from wherry.cli.each import each
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, INT, STRING, Flag, Verb
from wherry.cli.output import complain, line
from wherry.client import containers
from wherry.client.errors import ApiError
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

NAMES = "CONTAINER [CONTAINER...]"
SIGNAL = Flag("signal", "s", STRING, "Signal to send")
TIMEOUT = Flag("timeout", "t", INT, "Seconds to wait before killing; -1 waits for ever")
# The name that this flag had for ten years.
TIME = Flag("time", "", INT, "Deprecated: use --timeout", hidden=True)


def _seconds(given: Given) -> int | None:
    if "timeout" in given.changed:
        return int(given["timeout"])
    if "time" not in given.changed:
        return None
    complain("Flag --time has been deprecated, use --timeout instead")
    return int(given["time"])


def _stop(session: Session, given: Given, names: list[str]) -> int:
    seconds, signal = _seconds(given), given["signal"]
    return each(session, names, lambda name: containers.stop(name, timeout_seconds=seconds, signal=signal))


def _restart(session: Session, given: Given, names: list[str]) -> int:
    seconds, signal = _seconds(given), given["signal"]
    return each(session, names, lambda name: containers.restart(name, timeout_seconds=seconds, signal=signal))


def _kill(session: Session, given: Given, names: list[str]) -> int:
    return each(session, names, lambda name: containers.kill(name, signal=given["signal"]))


def _pause(session: Session, _: Given, names: list[str]) -> int:
    return each(session, names, containers.pause)


def _unpause(session: Session, _: Given, names: list[str]) -> int:
    return each(session, names, containers.unpause)


def _rm(session: Session, given: Given, names: list[str]) -> int:
    force, volumes, link = given["force"], given["volumes"], given["link"]
    trimmed = [name.strip("/") for name in names]
    return each(
        session,
        trimmed,
        lambda name: containers.remove(name, force=force, volumes=volumes, link=link),
        ignore_absent=force,
    )


def _rename(session: Session, _: Given, names: list[str]) -> int:
    old, new = names[0].strip(), names[1].strip()
    if not old or not new:
        raise CommandError("Error: Neither old nor new names may be empty")
    try:
        session.client.send(containers.rename(old, new)).read()
    except ApiError as error:
        raise CommandError(f"{error}\nError: failed to rename container named {old}") from error
    return 0


def _wait(session: Session, _: Given, names: list[str]) -> int:
    return each(session, names, containers.wait, done=lambda _, body: line(str(decode(body)["StatusCode"])))


STOP = Verb("[OPTIONS] " + NAMES, _stop, SIGNAL, TIMEOUT, TIME, arguments=(1, None))
RESTART = Verb("[OPTIONS] " + NAMES, _restart, SIGNAL, TIMEOUT, TIME, arguments=(1, None))
KILL = Verb("[OPTIONS] " + NAMES, _kill, SIGNAL, arguments=(1, None))
PAUSE = Verb(NAMES, _pause, arguments=(1, None))
UNPAUSE = Verb(NAMES, _unpause, arguments=(1, None))
WAIT = Verb(NAMES, _wait, arguments=(1, None))
RENAME = Verb("CONTAINER NEW_NAME", _rename, arguments=(2, 2))
RM = Verb(
    "[OPTIONS] " + NAMES,
    _rm,
    Flag("force", "f", BOOL, "Kill a running container first"),
    Flag("link", "l", BOOL, "Remove the link of this name, not the container"),
    Flag("volumes", "v", BOOL, "Remove its anonymous volumes too"),
    arguments=(1, None),
)
