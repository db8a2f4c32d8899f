"""`system df`: what takes how much space."""

from __future__ import annotations

from wherry.cli import rows
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.human import ago, size
from wherry.cli.listing import FORMAT_HELP, Listing, show
from wherry.cli.moments import unix
from wherry.cli.output import emit
from wherry.cli.rows_images import entries, images
from wherry.cli.verbs.volume_ls import listing as volume_listing
from wherry.client import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Item = dict[str, Any]

HEADERS = {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"}
TABLE = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
CONTAINER_TABLE = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
CACHE_HEADERS = {
    "ID": "CACHE ID",
    "CacheType": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}
CACHE = {
    "ID": lambda it: it["ID"][:12] + "*" * bool(it.get("InUse")),
    "CacheType": lambda it: it["Type"],
    "Size": lambda it: size(it["Size"], 3),
    "CreatedSince": lambda it: _ago(it.get("CreatedAt")),
    "LastUsedSince": lambda it: _ago(it.get("LastUsedAt")),
    "UsageCount": lambda it: str(it.get("UsageCount", 0)),
    "Shared": lambda it: "true" if it.get("Shared") else "false",
}
ACTIVE_STATES = ("running", "paused", "restarting")


def _df(session: Session, given: Given, _: list[str]) -> int:
    usage: Item = session.client.json(system.disk_usage())
    if not given["verbose"]:
        columns = {name: (lambda it, name=name: it[name]) for name in TABLE}
        listing = Listing(columns, HEADERS, TABLE, quiet="Type", type_name="*formatter.diskUsageContext")
        show(listing, _summary(usage), form=given["format"])
        return 0
    if given["format"] not in ("", "table"):
        raise CommandError("the verbose form of system df has no format; leave out --verbose or --format")
    _verbose(usage)
    return 0


def _summary(usage: Item) -> list[Item]:
    return [_images(usage), _containers(usage), _volumes(usage), _cache(usage)]


def _row(kind: str, total: int, active: int, used: int, reclaimable: str) -> Item:
    return {
        "Type": kind,
        "TotalCount": str(total),
        "Active": str(active),
        "Size": size(used),
        "Reclaimable": reclaimable,
    }


def _part(reclaimable: int, whole: int) -> str:
    return f"{size(reclaimable)} ({reclaimable * 100 // whole}%)" if whole > 0 else size(reclaimable)


def _images(usage: Item) -> Item:
    found = usage.get("Images") or []
    whole = usage.get("LayersSize", 0)
    active = [it for it in found if it.get("Containers", 0) > 0]
    used = sum(it["Size"] - it["SharedSize"] for it in active if it["Size"] != -1 and it["SharedSize"] != -1)
    return _row("Images", len(found), len(active), whole, _part(whole - used, whole))


def _containers(usage: Item) -> Item:
    found = usage.get("Containers") or []
    active = [it for it in found if it["State"].lower() in ACTIVE_STATES]
    whole = sum(it.get("SizeRw", 0) for it in found)
    idle = whole - sum(it.get("SizeRw", 0) for it in active)
    return _row("Containers", len(found), len(active), whole, _part(idle, whole))


def _volumes(usage: Item) -> Item:
    found = usage.get("Volumes") or []
    measured = [it["UsageData"] for it in found if it.get("UsageData")]
    whole = sum(it["Size"] for it in measured if it["Size"] != -1)
    idle = sum(it["Size"] for it in measured if it["Size"] != -1 and not it["RefCount"])
    active = sum(it["RefCount"] > 0 for it in measured)
    return _row("Local Volumes", len(found), active, whole, _part(idle, whole))


def _cache(usage: Item) -> Item:
    found = usage.get("BuildCache") or []
    whole = sum(it["Size"] for it in found if not it.get("Shared"))
    idle = sum(it["Size"] for it in found if not it.get("InUse") and not it.get("Shared"))
    return _row("Build Cache", len(found), sum(bool(it.get("InUse")) for it in found), whole, size(idle))


def _ago(moment: str | None) -> str:
    """How long ago an RFC 3339 time was; "" for none."""
    return ago(float(unix(moment))) if moment else ""


def _verbose(usage: Item) -> None:
    emit("Images space usage:\n\n")
    # Space belongs to an image, not to each of its names: one line with the first.
    named = [entries([it], digests=False)[0] for it in usage.get("Images") or ()]
    show(images(full=False, digests=False, usage=True), named)
    emit("\nContainers space usage:\n\n")
    containers = rows.containers(full=False, with_size=False)
    containers.table = CONTAINER_TABLE
    columns = {**containers.columns, "Size": lambda it: size(it.get("SizeRw", 0), 3)}
    show(Listing(columns, containers.headers, CONTAINER_TABLE, quiet="ID", type_name=""), usage.get("Containers") or [])
    emit("\nLocal Volumes space usage:\n\n")
    show(volume_listing(usage=True), usage.get("Volumes") or [])
    found = usage.get("BuildCache") or []
    emit(f"\nBuild cache usage: {size(sum(it['Size'] for it in found if not it.get('Shared')))}\n\n")
    show(Listing(CACHE, CACHE_HEADERS, tuple(CACHE_HEADERS), quiet="ID", type_name=""), found)


DF = Verb(
    "[OPTIONS]",
    _df,
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("verbose", "v", BOOL, "Show each thing by itself"),
)
