"""`system fsck`: what is on disk and in the kernel that no record knows, what a record knows that is gone; mend it."""

from __future__ import annotations

from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP, Listing, show
from wherry.cli.output import emit
from wherry.client import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Item = dict[str, Any]


def _repair(it: Item) -> str:
    """What repairing would do, did, or could not do."""
    if it["Repaired"]:
        return f"done: {it['Remedy']}"
    if it["Error"]:
        return f"failed: {it['Error']}"
    return it["Remedy"] or "not possible"


COLUMNS = {
    "Kind": lambda it: it["Kind"],
    "Name": lambda it: it["Name"],
    "Problem": lambda it: it["Problem"],
    "Remedy": lambda it: it["Remedy"],
    "Repaired": lambda it: it["Repaired"],
    "Error": lambda it: it["Error"],
    "Repair": _repair,
}
HEADERS = {
    "Kind": "KIND",
    "Name": "NAME",
    "Problem": "PROBLEM",
    "Remedy": "REMEDY",
    "Repaired": "REPAIRED",
    "Error": "ERROR",
    "Repair": "REPAIR",
}
TABLE = ("Kind", "Name", "Problem", "Repair")


def _fsck(session: Session, given: Given, _: list[str]) -> int:
    found: list[Item] = session.client.json(system.check(repair=given["repair"], deep=given["deep"]))["Findings"]
    left = [it for it in found if not it["Repaired"]]
    form = given["format"]
    if form or found:
        listing = Listing(COLUMNS, HEADERS, TABLE, quiet="Name", type_name="*formatter.findingContext")
        show(listing, sorted(found, key=lambda it: it["Kind"]), form=form)
    if form in ("", "table"):
        emit(_summary(len(found), len(left), repair=given["repair"], can=any(it["Remedy"] for it in left)))
    return 1 if left else 0


def _summary(found: int, left: int, *, repair: bool, can: bool) -> str:
    if not found:
        return "Clean: disk and kernel are as the records say\n"
    if repair:
        return f"\n{found} found, {found - left} repaired\n"
    return f"\n{found} found" + ("; --repair mends what can be mended\n" if can else "\n")


FSCK = Verb(
    "[OPTIONS]",
    _fsck,
    Flag("deep", "", BOOL, "Read every image's content and compare it with its digest"),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("repair", "", BOOL, "Remove what no record knows, and mend what can be mended"),
    details=(
        "Exits with 0 when nothing is wrong (any more) and with 1 otherwise. Nothing that a record knows is removed, "
        "nor anything outside of the daemon's own directories, tables and links."
    ),
)
