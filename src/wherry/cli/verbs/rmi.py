"""`rmi` and `tag`: names of images, taken away and given."""

from __future__ import annotations

from wherry.cli.each import each
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRINGS, Flag, Verb
from wherry.cli.output import line
from wherry.cli.platforms import as_json
from wherry.cli.reference import parse
from wherry.client import images
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _rmi(session: Session, given: Given, names: list[str]) -> int:
    platforms = [as_json(text) for text in given["platform"]]

    def done(_: str, body: bytes) -> None:
        for removed in decode(body):
            if "Deleted" in removed:
                line(f"Deleted: {removed['Deleted']}")
            else:
                line(f"Untagged: {removed['Untagged']}")

    # One after the other: two names of one image may be on the line, and only the last deletes it.
    statuses = [
        each(
            session,
            [name],
            lambda it: images.remove(it, force=given["force"], no_prune=given["no-prune"], platforms=platforms),
            done=done,
            ignore_absent=given["force"],
        )
        for name in names
    ]
    return max(statuses)


def _tag(session: Session, _: Given, arguments: list[str]) -> int:
    source, target = arguments
    try:
        wanted = parse(target)
    except CommandError as error:
        raise CommandError(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from error
    if wanted.digest:
        raise CommandError("refusing to create a tag with a digest reference")
    session.client.send(images.tag(source, repository=wanted.familiar, tag=wanted.tag or "latest")).read()
    return 0


RMI = Verb(
    "[OPTIONS] IMAGE [IMAGE...]",
    _rmi,
    Flag("force", "f", BOOL, "Remove it although containers or other names use it"),
    Flag("no-prune", "", BOOL, "Keep parents that have no name"),
    Flag("platform", "", STRINGS, "Remove only this platform's image (os[/arch[/variant]])"),
    arguments=(1, None),
)
TAG = Verb("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", _tag, arguments=(2, 2))
