"""`ps`: which containers are there."""

from __future__ import annotations

from wherry.cli import rows
from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import BOOL, INT, STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP, show
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _ps(session: Session, given: Given, _: list[str]) -> int:
    form = given["format"]
    if not form and not given["quiet"]:
        form = session.settings.get("psFormat", "")
    # Sizes cost the daemon a walk over files: asked for only where they will be shown.
    with_size = given["size"] or ".Size" in form or "json ." in form
    limit = 1 if given["latest"] and given["last"] < 0 else given["last"]
    call = containers.listing(all_states=given["all"], limit=limit, size=with_size, wanted=gathered(given["filter"]))
    listing = rows.containers(full=given["no-trunc"], with_size=given["size"])
    show(listing, session.client.json(call), form=form, quiet=given["quiet"])
    return 0


PS = Verb(
    "[OPTIONS]",
    _ps,
    Flag("all", "a", BOOL, "Show stopped containers too"),
    Flag("filter", "f", FILTER, "Show only what fits, such as status=exited"),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("last", "n", INT, "Show the n containers created last, in any state", default=-1),
    Flag("latest", "l", BOOL, "Show the container created last, in any state"),
    Flag("no-trunc", "", BOOL, "Cut nothing short"),
    Flag("quiet", "q", BOOL, "Show only IDs"),
    Flag("size", "s", BOOL, "Show sizes on disk"),
)
