"""`load`: images from a tar archive."""

from __future__ import annotations

import os

from wherry.cli import progress, terminal
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.platforms import as_json
from wherry.cli.sources import pieces
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _load(session: Session, given: Given, _: list[str]) -> int:
    path = given["input"]
    if not path and terminal.is_terminal(0):
        raise CommandError("requested load from stdin, but stdin is empty")
    platforms = [as_json(given["platform"])] if given["platform"] else []
    quiet = given["quiet"] or not terminal.is_terminal(1)
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else 0
    except OSError as error:
        raise CommandError(f"open {path}: {(error.strerror or '').lower()}") from error
    call = images.load(pieces(source), quiet=quiet, platforms=platforms)
    progress.show(session.client.send(call).lines())
    return 0


LOAD = Verb(
    "[OPTIONS]",
    _load,
    Flag("input", "i", STRING, "Read from a file instead of standard input"),
    Flag("platform", "", STRING, "Load only this platform's image (os[/arch[/variant]])"),
    Flag("quiet", "q", BOOL, "Show no progress"),
)
