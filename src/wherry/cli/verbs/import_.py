"""`import`: an image from the tar archive of a file system."""

from __future__ import annotations

import os

from wherry.cli import progress
from wherry.cli.errors import CommandError
from wherry.cli.flags import LIST, STRING, Flag, Verb
from wherry.cli.reference import parse
from wherry.cli.sources import pieces
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

URLS = ("http://", "https://", "git://", "github.com/", "git@")


def _import(session: Session, given: Given, arguments: list[str]) -> int:
    source, name = arguments[0], arguments[1] if len(arguments) > 1 else ""
    repository, tag = "", ""
    if name:
        wanted = parse(name)
        repository, tag = wanted.familiar, wanted.tag
    body = None
    if source == "-":
        body = pieces(0)
    elif not source.startswith(URLS):
        try:
            body = pieces(os.open(source, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise CommandError(f"open {source}: {(error.strerror or '').lower()}") from error
        source = "-"
    call = images.import_(
        source,
        repository=repository,
        tag=tag,
        message=given["message"],
        changes=given["change"],
        platform=given["platform"],
        body=body,
    )
    progress.show(session.client.send(call).lines())
    return 0


IMPORT = Verb(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    _import,
    Flag("change", "c", LIST, "Apply a Dockerfile instruction to the image"),
    Flag("message", "m", STRING, "Note for the image's history"),
    Flag("platform", "", STRING, "Platform of the image (os[/arch[/variant]])"),
    arguments=(1, None),
)
