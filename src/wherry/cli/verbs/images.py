"""`images`: which images are there."""

from __future__ import annotations

from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP, show
from wherry.cli.rows_images import entries, images
from wherry.client import images as calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _images(session: Session, given: Given, names: list[str]) -> int:
    wanted = gathered(given["filter"])
    if names:
        wanted.setdefault("reference", []).append(names[0])
    found = session.client.json(calls.listing(all_images=given["all"], wanted=wanted))
    form = given["format"]
    if not form and not given["quiet"]:
        form = session.settings.get("imagesFormat", "")
    digests = given["digests"] or "{{.Digest}}" in form.replace(" ", "")
    items = entries(found, digests=digests)
    show(images(full=given["no-trunc"], digests=given["digests"]), items, form=form, quiet=given["quiet"])
    return 0


IMAGES = Verb(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    _images,
    Flag("all", "a", BOOL, "Show intermediate images too"),
    Flag("digests", "", BOOL, "Show digests"),
    Flag("filter", "f", FILTER, "Show only what fits, such as dangling=true"),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("no-trunc", "", BOOL, "Cut nothing short"),
    Flag("quiet", "q", BOOL, "Show only IDs"),
    arguments=(0, 1),
)
