"""`exec`: a further command in a running container."""

from __future__ import annotations

import sys

from wherry.cli import terminal
from wherry.cli.attached import DETACHED, Attachment, check_terminal, keys_of, start_status
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, LIST, STRING, Flag, Verb
from wherry.cli.options.declared import ENV
from wherry.cli.options.environment import environment
from wherry.client import containers, execs
from wherry.client.client import version_key
from wherry.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _exec(session: Session, given: Given, arguments: list[str]) -> int:
    body = _body(session, given, arguments[1:])
    # The container is asked for first, so that a wrong name is told before a wrong terminal, as docker does.
    session.client.send(containers.inspect(arguments[0])).read()
    if not given["detach"]:
        check_terminal(stdin=body["AttachStdin"], tty=body["Tty"])
    identifier: str = session.client.json(execs.create(arguments[0], body))["Id"]
    if given["detach"]:
        session.client.send(execs.start(identifier, detach=True, tty=given["tty"])).read()
        return 0
    return _foreground(session, given, body, identifier)


def _body(session: Session, given: Given, command: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "User": given["user"],
        "Privileged": given["privileged"],
        "Tty": given["tty"],
        "AttachStdin": False,
        "AttachStdout": not given["detach"],
        "AttachStderr": not given["detach"],
        "DetachKeys": keys_of(session, given["detach-keys"]),
        "Env": environment(given["env-file"], given["env"]) or None,
        "WorkingDir": given["workdir"],
        "Cmd": command,
        "Detach": given["detach"],
    }
    if not given["detach"]:
        body["AttachStdin"] = given["interactive"]
    if given["tty"]:
        body["ConsoleSize"] = list(terminal.size(sys.stdout.fileno()))
    return body


def _foreground(session: Session, given: Given, body: dict[str, Any], identifier: str) -> int:
    attachment = Attachment(
        session,
        tty=body["Tty"],
        stdin=body["AttachStdin"],
        detach_keys=body["DetachKeys"],
        resize=lambda rows, columns: execs.resize(identifier, rows=rows, columns=columns),
        kill=None,
    )
    size = terminal.size(sys.stdout.fileno()) if given["tty"] else None
    if version_key(session.client.version) < (1, 42):
        size = None
    try:
        connection = session.client.hijack(execs.start(identifier, detach=False, tty=body["Tty"], size=size))
    except ApiError as error:
        status = start_status(error)
        raise CommandError(str(error), status=1 if status == 125 else status) from error
    if not attachment.run(connection):
        raise CommandError(DETACHED)
    return int(session.client.json(execs.inspect(identifier))["ExitCode"])


EXEC = Verb(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    _exec,
    Flag("detach", "d", BOOL, "Run in the background"),
    Flag("detach-keys", "", STRING, "Keys that detach from the command"),
    Flag("env", "e", ENV, "Set an environment variable"),
    Flag("env-file", "", LIST, "Read environment variables from a file"),
    Flag("interactive", "i", BOOL, "Keep standard input open"),
    Flag("privileged", "", BOOL, "Give all privileges of the host's root"),
    Flag("tty", "t", BOOL, "Give it a terminal"),
    Flag("user", "u", STRING, 'User and group ("name|uid[:group|gid]")'),
    Flag("workdir", "w", STRING, "Working directory"),
    arguments=(2, None),
    interspersed=False,
)
