"""`history`: the steps that made an image."""

from __future__ import annotations

import time

from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.human import ago, ellipsis, short_id, size
from wherry.cli.listing import FORMAT_HELP, Listing, show
from wherry.cli.platforms import as_json
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
CREATED_BY_LETTERS = 45
MISSING = "<missing>"


def _listing(*, full: bool, human: bool) -> Listing:
    columns = {
        "ID": lambda it: it["Id"] if full or it["Id"] == MISSING else short_id(it["Id"]),
        "CreatedSince": lambda it: _since(it["Created"]) if human else _date(it["Created"]),
        "CreatedAt": lambda it: _date(it["Created"]),
        "CreatedBy": lambda it: _one_line(it["CreatedBy"], full=full),
        "Size": lambda it: size(it["Size"], 3) if human else str(it["Size"]),
        "Comment": lambda it: it["Comment"],
    }
    table = ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    return Listing(columns, HEADERS, table, quiet="ID", type_name="*formatter.historyContext")


def _since(created: int) -> str:
    return ago(created) if created > 0 else "N/A"


def _date(created: int) -> str:
    zone = time.strftime("%z", time.localtime(created))
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(created)) + zone


def _one_line(text: str, *, full: bool) -> str:
    text = text.replace("\t", " ")
    return text if full else ellipsis(text, CREATED_BY_LETTERS)


def _history(session: Session, given: Given, names: list[str]) -> int:
    platform = as_json(given["platform"]) if given["platform"] else ""
    found = session.client.json(images.history(names[0], platform=platform))
    show(_listing(full=given["no-trunc"], human=given["human"]), found, form=given["format"], quiet=given["quiet"])
    return 0


HISTORY = Verb(
    "[OPTIONS] IMAGE",
    _history,
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("human", "H", BOOL, "Show sizes and times for people", default=True),
    Flag("no-trunc", "", BOOL, "Cut nothing short"),
    Flag("platform", "", STRING, "Platform of the image (os[/arch[/variant]])"),
    Flag("quiet", "q", BOOL, "Show only IDs"),
    arguments=(1, 1),
)
