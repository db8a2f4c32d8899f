"""`diff`, `export` and `commit`: what a container has become of its image."""

from __future__ import annotations

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, LIST, STRING, Flag, Verb
from wherry.cli.output import line
from wherry.cli.reference import parse
from wherry.cli.streams import write_all
from wherry.cli.verbs.save import to_file
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

LETTERS = ("C", "A", "D")


def _diff(session: Session, _: Given, arguments: list[str]) -> int:
    if not arguments[0]:
        raise CommandError("Container name cannot be empty")
    for change in session.client.json(containers.changes(arguments[0])) or ():
        line(f"{LETTERS[change['Kind']]} {change['Path']}")
    return 0


def _export(session: Session, given: Given, arguments: list[str]) -> int:
    if not given["output"] and terminal.is_terminal(1):
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    pieces = session.client.send(containers.export(arguments[0]))
    if given["output"]:
        to_file(given["output"], pieces)
        return 0
    for piece in pieces:
        write_all(1, piece)
    return 0


def _commit(session: Session, given: Given, arguments: list[str]) -> int:
    repository, tag = "", ""
    if len(arguments) > 1 and arguments[1]:
        wanted = parse(arguments[1])
        repository, tag = wanted.familiar, wanted.tag
    call = containers.commit(
        arguments[0],
        repository=repository,
        tag=tag,
        comment=given["message"],
        author=given["author"],
        changes=given["change"],
        pause=given["pause"],
    )
    line(session.client.json(call)["Id"])
    return 0


DIFF = Verb("CONTAINER", _diff, arguments=(1, 1))
EXPORT = Verb("[OPTIONS] CONTAINER", _export, Flag("output", "o", STRING, "Write to a file"), arguments=(1, 1))
COMMIT = Verb(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    _commit,
    Flag("author", "a", STRING, 'Who made it (such as "Jo <jo@example.com>")'),
    Flag("change", "c", LIST, "Apply a Dockerfile instruction to the image"),
    Flag("message", "m", STRING, "Note for the image's history"),
    Flag("pause", "p", BOOL, "Freeze the container meanwhile", default=True, shown_default="true"),
    arguments=(1, 2),
)
