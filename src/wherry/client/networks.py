"""Calls about networks. `name` is a name, an id or a prefix of an id."""

from __future__ import annotations

from wherry.client.call import Call, escape, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def listing(*, wanted: Mapping[str, Iterable[str]] | None = None) -> Call:
    """Networks as a list of objects."""
    return Call("GET", "/networks", query={"filters": filters(wanted)})


def inspect(name: str, *, verbose: bool = False) -> Call:
    """All about one network: an object."""
    return Call("GET", f"/networks/{escape(name)}", query={"verbose": "true" if verbose else None})


def create(body: Mapping[str, Any]) -> Call:
    """Make a network; the answer has `Id` and `Warning`."""
    return Call("POST", "/networks/create", json=dict(body))


def remove(name: str) -> Call:
    """Remove it; nothing comes back."""
    return Call("DELETE", f"/networks/{escape(name)}")


def connect(name: str, *, container: str, endpoint: Mapping[str, Any]) -> Call:
    """Join a container to it."""
    return Call("POST", f"/networks/{escape(name)}/connect", json={"Container": container, "EndpointConfig": endpoint})


def disconnect(name: str, *, container: str, force: bool = False) -> Call:
    """Take a container out of it."""
    return Call("POST", f"/networks/{escape(name)}/disconnect", json={"Container": container, "Force": force})
