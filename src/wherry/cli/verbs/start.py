"""`start`: containers that were created or have stopped."""

from __future__ import annotations

from wherry.cli.attached import Attachment, check_terminal, keys_of, status_of
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.output import complain, line
from wherry.client import containers
from wherry.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session
    from wherry.client.client import Pending


def _start(session: Session, given: Given, names: list[str]) -> int:
    if given["attach"] or given["interactive"]:
        if len(names) > 1:
            raise CommandError("you cannot start and attach multiple containers at once")
        return _attached(session, given, names[0])
    failed: list[str] = []
    for name in names:
        try:
            session.client.send(containers.start(name)).read()
            line(name)
        except ApiError as error:
            complain(str(error))
            failed.append(name)
    if failed:
        raise CommandError(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _attached(session: Session, given: Given, name: str) -> int:
    found = session.client.json(containers.inspect(name))
    config: dict[str, Any] = found["Config"]
    identifier: str = found["Id"]
    stdin = given["interactive"] and config["OpenStdin"]
    check_terminal(stdin=stdin, tty=config["Tty"])
    keys = keys_of(session, given["detach-keys"])
    removes = found.get("HostConfig", {}).get("AutoRemove", False)
    waiting: list[Pending] = []

    def begin() -> None:
        condition = "removed" if removes else "next-exit"
        waiting.append(session.client.begin(containers.wait(identifier, condition=condition)))
        waiting[-1].heard()
        session.client.send(containers.start(identifier)).read()

    attachment = Attachment(
        session,
        tty=config["Tty"],
        stdin=stdin,
        detach_keys=keys,
        resize=lambda rows, columns: containers.resize(identifier, rows=rows, columns=columns),
        kill=lambda signal: containers.kill(identifier, signal=signal),
    )
    call = containers.attach(identifier, stdin=stdin, stdout=True, stderr=True, detach_keys=keys)
    if not attachment.run(session.client.hijack(call), begin):
        return 0  # detached: the container goes on
    return status_of(waiting[0].json())


START = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    _start,
    Flag("attach", "a", BOOL, "Attach to its output and forward signals"),
    Flag("detach-keys", "", STRING, "Keys that detach from the container"),
    Flag("interactive", "i", BOOL, "Attach to its input"),
    arguments=(1, None),
)
