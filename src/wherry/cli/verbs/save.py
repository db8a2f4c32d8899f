"""`save`: images as a tar archive."""

from __future__ import annotations

import os

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.flags import STRING, Flag, Verb
from wherry.cli.platforms import as_json
from wherry.cli.streams import write_all
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _save(session: Session, given: Given, names: list[str]) -> int:
    if not given["output"] and terminal.is_terminal(1):
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    platforms = [as_json(given["platform"])] if given["platform"] else []
    pieces = session.client.send(images.save(names, platforms=platforms))
    if not given["output"]:
        for piece in pieces:
            write_all(1, piece)
        return 0
    to_file(given["output"], pieces)
    return 0


def to_file(path: str, pieces: Iterable[bytes]) -> None:
    """Write a file whole or not at all: under another name until it is complete."""
    if os.path.isdir(path):
        raise CommandError(f'invalid output path: "{path}" is a directory')
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise CommandError(f'invalid output path: directory "{directory}" does not exist')
    target = path
    temporary = f"{path}.{os.getpid()}" if not os.path.exists(path) or os.path.isfile(path) else path
    try:
        with open(temporary, "wb") as file:
            file.writelines(pieces)
        if temporary != target:
            os.replace(temporary, target)
    except BaseException:
        if temporary != target and os.path.exists(temporary):
            os.unlink(temporary)
        raise


SAVE = Verb(
    "[OPTIONS] IMAGE [IMAGE...]",
    _save,
    Flag("output", "o", STRING, "Write to a file"),
    Flag("platform", "", STRING, "Save only this platform's image (os[/arch[/variant]])"),
    arguments=(1, None),
)
