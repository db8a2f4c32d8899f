"""`pull`: an image from a registry."""

from __future__ import annotations

import os
import sys

from wherry.cli import reference
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.output import line
from wherry.cli.pulling import LATEST, fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _pull(session: Session, given: Given, arguments: list[str]) -> int:
    wanted = reference.parse(arguments[0])
    if given["all-tags"]:
        if not wanted.is_named_only:
            raise CommandError("tag can't be used with --all-tags/-a")
    elif wanted.is_named_only:
        wanted.tag = LATEST
        if not given["quiet"]:
            line(f"Using default tag: {LATEST}")
    platform = given["platform"] or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    fetch(session, wanted, platform=platform, quiet=given["quiet"], stream=sys.stdout)
    sign = "" if wanted.is_named_only else ("@" + wanted.digest if wanted.digest else ":" + wanted.tag)
    line(f"{wanted.registry}/{_path(wanted)}{sign}")
    return 0


def _path(wanted: reference.Reference) -> str:
    if wanted.registry == reference.DEFAULT_REGISTRY and "/" not in wanted.path:
        return f"library/{wanted.path}"
    return wanted.path


PULL = Verb(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    _pull,
    Flag("all-tags", "a", BOOL, "Download all tags of the repository"),
    Flag("platform", "", STRING, "Platform of the image (os[/arch[/variant]])"),
    Flag("quiet", "q", BOOL, "Show no progress"),
    arguments=(1, 1),
)
