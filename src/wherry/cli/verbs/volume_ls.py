"""`volume ls`: which volumes are there."""

from __future__ import annotations

from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.human import labels, size
from wherry.cli.listing import FORMAT_HELP, Listing, label_of, show
from wherry.cli.verbs.network_ls import natural
from wherry.client import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

NOT_KNOWN = "N/A"
HEADERS = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Group": "GROUP",
    "Availability": "AVAILABILITY",
    "Status": "STATUS",
}
RAW = "name: {{.Name}}\ndriver: {{.Driver}}\n"


def listing(*, usage: bool = False) -> Listing:
    """The listing of `volume ls`; `usage` is the one of `system df -v`."""
    columns = {
        "Name": lambda it: it["Name"],
        "Driver": lambda it: it["Driver"],
        "Scope": lambda it: it["Scope"],
        "Mountpoint": lambda it: it["Mountpoint"],
        "Labels": lambda it: labels(it.get("Labels")),
        "Label": lambda it: label_of(it.get("Labels")),
        "Links": lambda it: _usage(it, "RefCount"),
        "Size": _size,
        "Group": lambda _: NOT_KNOWN,
        "Availability": lambda _: NOT_KNOWN,
        "Status": lambda _: NOT_KNOWN,
    }
    table = ("Name", "Links", "Size") if usage else ("Driver", "Name")
    return Listing(columns, HEADERS, table, quiet="Name", type_name="*formatter.volumeContext", raw=RAW)


def _usage(it: dict[str, Any], name: str) -> str:
    usage = it.get("UsageData")
    return str(usage[name]) if usage else NOT_KNOWN


def _size(it: dict[str, Any]) -> str:
    usage = it.get("UsageData")
    return size(usage["Size"]) if usage and usage["Size"] >= 0 else NOT_KNOWN


def _ls(session: Session, given: Given, _: list[str]) -> int:
    found = session.client.json(volumes.listing(wanted=gathered(given["filter"])))["Volumes"] or []
    found.sort(key=lambda it: natural(it["Name"]))
    form = given["format"]
    if not form and not given["quiet"]:
        form = session.settings.get("volumesFormat", "")
    show(listing(), found, form=form, quiet=given["quiet"])
    return 0


LS = Verb(
    "[OPTIONS]",
    _ls,
    Flag("filter", "f", FILTER, 'Show only what fits, such as "dangling=true"'),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("quiet", "q", BOOL, "Show only names"),
)
