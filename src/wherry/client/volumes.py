"""Calls about volumes."""

from __future__ import annotations

from wherry.client.call import Call, escape, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def listing(*, wanted: Mapping[str, Iterable[str]] | None = None) -> Call:
    """An object with the list `Volumes` and `Warnings`."""
    return Call("GET", "/volumes", query={"filters": filters(wanted)})


def inspect(name: str) -> Call:
    """All about one volume: an object."""
    return Call("GET", f"/volumes/{escape(name)}")


def create(body: Mapping[str, Any]) -> Call:
    """Make a volume; the answer is its object."""
    return Call("POST", "/volumes/create", json=dict(body))


def remove(name: str, *, force: bool = False) -> Call:
    """Remove it; with `force` also when it is not there."""
    return Call("DELETE", f"/volumes/{escape(name)}", query={"force": force})
