"""`GET /events`: from the history and then live."""

import asyncio
from collections.abc import AsyncIterator

from wherry.engine.engine import Engine
from wherry.engine.request.filters import Filters
from wherry.model.clock import NANOSECONDS, now_ns
from wherry.model.event import Event
from wherry.oci.reference import InvalidReference, parse_reference

# What a filter of these names says is looked for in any event, whatever its type (moby daemon/events/filter.go).
_ACTORS = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")
# Their actions go on after a colon, and so are found by how they begin.
_LONG_ACTIONS = frozenset({"health_status", "exec_create", "exec_start"})


async def subscribe(
    engine: Engine, *, since_ns: int | None = None, until_ns: int | None = None, filters: dict[str, list[str]]
) -> AsyncIterator[Event]:
    """Events that match, oldest first. Without `until_ns` it goes on until the reader stops.

    A filter of another name is not looked at, as with dockerd.
    """
    wanted = Filters(filters, filters)
    with engine.bus.subscribe(lambda event: _matches(wanted, event)) as live:
        if since_ns is not None:
            past = engine.bus.history(since_ns=since_ns, until_ns=until_ns)
            for event in past:
                if _matches(wanted, event):
                    yield event
        if until_ns is not None and until_ns <= now_ns():
            return
        seconds = None if until_ns is None else (until_ns - now_ns()) / NANOSECONDS
        try:
            async with asyncio.timeout(seconds):
                async for event in live:
                    yield event
        except TimeoutError:
            return


def _matches(wanted: Filters, event: Event) -> bool:
    return (
        _action_matches(wanted, event.action)
        and wanted.has("type", event.kind)
        and wanted.has("scope", event.scope)
        and all(_actor_matches(wanted, kind, event) for kind in _ACTORS)
        and _image_matches(wanted, event)
        and wanted.labels(event.attributes)
    )


def _action_matches(wanted: Filters, action: str) -> bool:
    if _LONG_ACTIONS.isdisjoint(wanted.values("event")):
        return wanted.has("event", action)
    return wanted.starts("event", action)


def _actor_matches(wanted: Filters, kind: str, event: Event) -> bool:
    return wanted.starts(kind, event.actor_id) or wanted.starts(kind, event.attributes.get("name", ""))


def _image_matches(wanted: Filters, event: Event) -> bool:
    """By the image's id or name, with its tag or without; of a container by that of its image."""
    name = event.attributes.get("image" if event.kind == "container" else "name", "")
    return wanted.has_any("image", (event.actor_id, name, _without_tag(event.actor_id), _without_tag(name)))


def _without_tag(name: str) -> str:
    try:
        return parse_reference(name).familiar_name
    except InvalidReference:
        return name
