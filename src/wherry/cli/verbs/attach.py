"""`attach`: this terminal to a running container."""

from __future__ import annotations

from wherry.cli.attached import Attachment, check_terminal, keys_of, status_of
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _attach(session: Session, given: Given, names: list[str]) -> int:
    found = session.client.json(containers.inspect(names[0]))
    _check_running(found["State"])
    config: dict[str, Any] = found["Config"]
    identifier: str = found["Id"]
    stdin = config["OpenStdin"] and not given["no-stdin"]
    check_terminal(stdin=stdin, tty=config["Tty"])
    keys = keys_of(session, given["detach-keys"])
    waiting = session.client.begin(containers.wait(identifier))
    attachment = Attachment(
        session,
        tty=config["Tty"],
        stdin=stdin,
        detach_keys=keys,
        resize=lambda rows, columns: containers.resize(identifier, rows=rows, columns=columns),
        kill=(lambda signal: containers.kill(identifier, signal=signal)) if given["sig-proxy"] else None,
    )
    attachment.redraws = True
    call = containers.attach(identifier, stdin=stdin, stdout=True, stderr=True, detach_keys=keys)
    if not attachment.run(session.client.hijack(call)):
        raise CommandError("read escape sequence")
    return status_of(waiting.json())


def _check_running(state: dict[str, Any]) -> None:
    if not state["Running"]:
        raise CommandError("You cannot attach to a stopped container, start it first")
    if state.get("Paused"):
        raise CommandError("You cannot attach to a paused container, unpause it first")
    if state.get("Restarting"):
        raise CommandError("You cannot attach to a restarting container, wait until it is running")


ATTACH = Verb(
    "[OPTIONS] CONTAINER",
    _attach,
    Flag("detach-keys", "", STRING, "Keys that detach from the container"),
    Flag("no-stdin", "", BOOL, "Leave its input alone"),
    Flag("sig-proxy", "", BOOL, "Forward signals to the process", default=True),
    arguments=(1, 1),
)
