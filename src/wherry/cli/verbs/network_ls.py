"""`network ls`: which networks are there."""

from __future__ import annotations

from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.human import labels
from wherry.cli.listing import FORMAT_HELP, Listing, label_of, show
from wherry.client import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
RAW = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"


def _listing(*, full: bool) -> Listing:
    columns = {
        "ID": lambda it: it["Id"] if full else it["Id"][:12],
        "Name": lambda it: it["Name"],
        "Driver": lambda it: it["Driver"],
        "Scope": lambda it: it["Scope"],
        "IPv4": lambda it: _yes(it.get("EnableIPv4")),
        "IPv6": lambda it: _yes(it.get("EnableIPv6")),
        "Internal": lambda it: _yes(it.get("Internal")),
        "Labels": lambda it: labels(it.get("Labels")),
        "Label": lambda it: label_of(it.get("Labels")),
        "CreatedAt": lambda it: _created(it["Created"]),
    }
    return Listing(
        columns, HEADERS, ("ID", "Name", "Driver", "Scope"), quiet="ID", type_name="*network.networkContext", raw=RAW
    )


def _yes(value: Any) -> str:
    return "true" if value else "false"


def _created(text: str) -> str:
    """`2026-01-02T03:04:05.6Z` as Go prints a time."""
    date, _, rest = text.partition("T")
    if rest.endswith("Z"):
        return f"{date} {rest[:-1]} +0000 UTC"
    zone = rest[-6:].replace(":", "")
    return f"{date} {rest[:-6]} {zone} {zone}"


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers inside names by value."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for letter in text + "\0":
        if letter.isdigit():
            digits += letter
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, letter))
    return parts


def _ls(session: Session, given: Given, _: list[str]) -> int:
    found = session.client.json(networks.listing(wanted=gathered(given["filter"])))
    found.sort(key=lambda it: natural(it["Name"]))
    form = given["format"]
    if not form and not given["quiet"]:
        form = session.settings.get("networksFormat", "")
    show(_listing(full=given["no-trunc"]), found, form=form, quiet=given["quiet"])
    return 0


LS = Verb(
    "[OPTIONS]",
    _ls,
    Flag("filter", "f", FILTER, 'Show only what fits, such as "driver=bridge"'),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("no-trunc", "", BOOL, "Cut nothing short"),
    Flag("quiet", "q", BOOL, "Show only IDs"),
)
