"""`run` and `create`: a container from an image."""

from __future__ import annotations

from wherry.cli.attached import Attachment, check_terminal, keys_of, start_status, status_of
from wherry.cli.creation import body_of, create
from wherry.cli.errors import CommandError, UsageError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.options.declared import SHARED
from wherry.cli.output import line
from wherry.client import containers
from wherry.client.errors import ApiError, ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from wherry.cli.flags import Given
    from wherry.cli.session import Session
    from wherry.client.client import Pending

    T = TypeVar("T")

FAILED = 125


def _create(session: Session, given: Given, arguments: list[str]) -> int:
    return _reported("create", lambda: _print_id(create(session, given, body_of(session, given, arguments))))


def _print_id(identifier: str) -> int:
    line(identifier)
    return 0


def _run(session: Session, given: Given, arguments: list[str]) -> int:
    if given["detach"] and given["attach"]:
        raise CommandError("conflicting options: cannot specify both --attach and --detach")
    body = _reported("run", lambda: body_of(session, given, arguments))
    if not given["detach"]:
        check_terminal(stdin=body["AttachStdin"], tty=body["Tty"])
    return _reported("run", lambda: _run_container(session, given, body))


def _reported(verb: str, action: Callable[[], T]) -> T:
    """Run `action`; what fails before the container runs ends with 125 and a pointer to the help."""
    try:
        return action()
    except UsageError:
        raise
    except (CommandError, ClientError) as error:
        status = error.status if isinstance(error, CommandError) and error.status != 1 else FAILED
        if isinstance(error, ApiError):
            status = start_status(error)
        text = f"wherry: {error}\n\nRun 'wherry {verb} --help' for more information"
        raise CommandError(text, status=status) from error


def _run_container(session: Session, given: Given, body: dict[str, Any]) -> int:
    if given["detach"]:
        body.update(AttachStdin=False, AttachStdout=False, AttachStderr=False, StdinOnce=False)
        identifier = create(session, given, body)
        session.client.send(containers.start(identifier)).read()
        return _print_id(identifier)
    keys = keys_of(session, given["detach-keys"])
    identifier = create(session, given, body)
    return _Foreground(session, given, body, identifier, keys).run()


class _Foreground:
    """A container in the foreground: attach, wait, start, resize, copy, in docker's order."""

    def __init__(self, session: Session, given: Given, body: dict[str, Any], identifier: str, keys: str) -> None:
        self._session = session
        self._body = body
        self._id = identifier
        self._keys = keys
        self._removes = given["rm"]
        self._forwards = given["sig-proxy"]
        self._waiting: Pending | None = None

    def run(self) -> int:
        body, identifier = self._body, self._id
        attachment = Attachment(
            self._session,
            tty=body["Tty"],
            stdin=body["AttachStdin"],
            detach_keys=self._keys,
            resize=lambda rows, columns: containers.resize(identifier, rows=rows, columns=columns),
            kill=(lambda name: containers.kill(identifier, signal=name)) if self._forwards else None,
            outputs=(body["AttachStdout"], body["AttachStderr"]),
        )
        connection = self._session.client.hijack(
            containers.attach(
                identifier,
                stdin=body["AttachStdin"],
                stdout=body["AttachStdout"],
                stderr=body["AttachStderr"],
                detach_keys=self._keys,
            )
        )
        if not attachment.run(connection, self._start):
            return 0  # detached: the container goes on
        assert self._waiting is not None
        return status_of(self._waiting.json())

    def _start(self) -> None:
        condition = "removed" if self._removes else "next-exit"
        self._waiting = self._session.client.begin(containers.wait(self._id, condition=condition))
        self._waiting.heard()
        try:
            self._session.client.send(containers.start(self._id)).read()
        except ApiError:
            if self._removes:
                self._waiting.json()  # the daemon removes what could not start; the name is free after that
            raise


CREATE = Verb("[OPTIONS] IMAGE [COMMAND] [ARG...]", _create, *SHARED, arguments=(1, None), interspersed=False)
RUN = Verb(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    _run,
    *SHARED,
    Flag("detach", "d", BOOL, "Run in the background and print the container's ID"),
    Flag("detach-keys", "", STRING, "Keys that detach from the container"),
    Flag("sig-proxy", "", BOOL, "Forward signals to the process", default=True),
    arguments=(1, None),
    interspersed=False,
)
