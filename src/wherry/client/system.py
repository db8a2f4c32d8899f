"""Calls about the daemon itself: version, info, events, disk usage, credentials, prune."""

from __future__ import annotations

from wherry.client.call import Call, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Filters = Mapping[str, Iterable[str]]


def ping() -> Call:
    """Is the daemon there? The answer is `OK`; its headers tell versions."""
    return Call("GET", "/_ping")


def version() -> Call:
    """Versions of the daemon and its parts: an object."""
    return Call("GET", "/version")


def info() -> Call:
    """The daemon's state and abilities: an object."""
    return Call("GET", "/info")


def disk_usage() -> Call:
    """What takes how much space: `Images`, `Containers`, `Volumes`, `BuildCache`."""
    return Call("GET", "/system/df")


def check(*, repair: bool = False, deep: bool = False) -> Call:
    """Wherry's own: what disk and kernel have that no record knows, and the reverse: `Findings`, mended if wished."""
    return Call("POST" if repair else "GET", "/system/fsck", query={"deep": "1" if deep else ""})


def events(*, since: str = "", until: str = "", wanted: Filters | None = None) -> Call:
    """A stream of events, one object a line. Times are Unix seconds, with nanoseconds after a dot."""
    return Call("GET", "/events", query={"since": since, "until": until, "filters": filters(wanted)})


def check_auth(credentials: Mapping[str, Any]) -> Call:
    """Does a registry take these credentials? The answer has `Status` and maybe `IdentityToken`."""
    return Call("POST", "/auth", json=dict(credentials))


def prune(kind: str, *, wanted: Filters | None = None) -> Call:
    """Remove what is not used; `kind` is containers, images, networks or volumes."""
    return Call("POST", f"/{kind}/prune", query={"filters": filters(wanted)})
