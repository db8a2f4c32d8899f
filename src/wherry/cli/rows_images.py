"""Columns of `images`: one line for each name an image has."""

from __future__ import annotations

from wherry.cli.human import ago, moment, short_id, size
from wherry.cli.listing import Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = dict[str, Any]

NONE = "<none>"
NOT_KNOWN = "N/A"
HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
TABLE = ("Repository", "Tag", "ID", "CreatedSince", "Size")
TABLE_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
TABLE_USAGE = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
RAW = """repository: {{.Repository}}
tag: {{.Tag}}
image_id: {{.ID}}
created_at: {{.CreatedAt}}
virtual_size: {{.Size}}
"""


def images(*, full: bool, digests: bool, usage: bool = False) -> Listing:
    """The listing of `images`; `usage` is the one of `system df -v`."""
    columns = {
        "ID": lambda it: it["Id"] if full else short_id(it["Id"]),
        "Repository": lambda it: it["repository"],
        "Tag": lambda it: it["tag"],
        "Digest": lambda it: it["digest"],
        "CreatedSince": lambda it: ago(it["Created"]),
        "CreatedAt": lambda it: moment(it["Created"]),
        "Size": lambda it: size(it["Size"], 3),
        "Containers": lambda it: _count(it.get("Containers", -1)),
        "VirtualSize": lambda it: size(it["Size"]),
        "SharedSize": lambda it: _size(it.get("SharedSize", -1)),
        "UniqueSize": _unique,
    }
    table = TABLE_USAGE if usage else TABLE_DIGESTS if digests else TABLE
    return Listing(columns, HEADERS, table, quiet="ID", type_name="*formatter.imageContext", raw=RAW)


def entries(found: list[Item], *, digests: bool) -> list[Item]:
    """Each image once for every tag, and for digests when they are wanted or nothing else names it."""
    return [entry for image in found for entry in _entries(image, digests=digests)]


def _entries(image: Item, *, digests: bool) -> list[Item]:
    tags: dict[str, list[str]] = {}
    for name in image.get("RepoTags") or ():
        repository, _, tag = name.rpartition(":")
        if name != f"{NONE}:{NONE}":
            tags.setdefault(repository, []).append(tag)
    known: dict[str, list[str]] = {}
    for name in image.get("RepoDigests") or ():
        repository, _, digest = name.partition("@")
        if name != f"{NONE}@{NONE}":
            known.setdefault(repository, []).append(digest)
    found: list[Item] = []
    for repository, names in tags.items():
        of_repository = known.pop(repository, None) or [NONE]
        shown = of_repository if digests else [NONE]
        found += [_entry(image, repository, tag, digest) for tag in names for digest in shown]
    for repository, unnamed in known.items():
        found += [_entry(image, repository, NONE, digest) for digest in (unnamed if digests else [NONE])]
    return found or [_entry(image, NONE, NONE, NONE)]


def _entry(image: Item, repository: str, tag: str, digest: str) -> Item:
    return {**image, "repository": repository, "tag": tag, "digest": digest}


def _count(number: int) -> str:
    return NOT_KNOWN if number < 0 else str(number)


def _size(count: int) -> str:
    return NOT_KNOWN if count < 0 else size(count)


def _unique(it: Item) -> str:
    shared = it.get("SharedSize", -1)
    return NOT_KNOWN if shared < 0 else size(it["Size"] - shared)
