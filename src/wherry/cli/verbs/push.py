"""`push`: an image to a registry."""

from __future__ import annotations

from wherry.cli import credentials, progress, reference
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.output import line
from wherry.cli.platforms import as_json
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _push(session: Session, given: Given, arguments: list[str]) -> int:
    wanted = reference.parse(arguments[0])
    if given["all-tags"] and not wanted.is_named_only:
        raise CommandError("tag can't be used with --all-tags/-a")
    if not given["all-tags"] and wanted.is_named_only:
        wanted.tag = "latest"
        if not given["quiet"]:
            line("Using default tag: latest")
    auth = credentials.registry_auth(session.settings, reference.auth_key(wanted.registry))
    platform = as_json(given["platform"]) if given["platform"] else ""
    call = images.push(wanted.familiar, tag=wanted.tag, auth=auth, platform=platform)
    messages = session.client.send(call).lines()
    if given["quiet"]:
        progress.drain(messages)
        line(str(wanted))
    else:
        progress.show(messages)
    return 0


PUSH = Verb(
    "[OPTIONS] NAME[:TAG]",
    _push,
    Flag("all-tags", "a", BOOL, "Push all tags of the repository"),
    Flag("platform", "", STRING, "Push only this platform's image (os[/arch[/variant]])"),
    Flag("quiet", "q", BOOL, "Show no progress"),
    arguments=(1, 1),
)
