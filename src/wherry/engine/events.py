"""`GET /events`: from the history and then live."""

import asyncio
from collections.abc import AsyncIterator

from wherry.engine.engine import Engine
from wherry.engine.request.filters import Filters
from wherry.model.clock import NANOSECONDS, now_ns
from wherry.model.event import Event

_ACTORS = ("container", "image", "network", "volume", "daemon", "plugin")


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
        wanted.has("type", event.kind)
        and wanted.has("scope", event.scope)
        and _action_matches(wanted, event.action)
        and wanted.labels(event.attributes)
        and all(_actor_matches(wanted, kind, event) for kind in _ACTORS)
    )


def _action_matches(wanted: Filters, action: str) -> bool:
    # `exec_create: sh -c …` is found by `exec_create` too.
    return wanted.has_any("event", (action, action.partition(":")[0]))


def _actor_matches(wanted: Filters, kind: str, event: Event) -> bool:
    """A filter by actor matches its id, a prefix of it, its name; for images also the image of a container."""
    if kind not in wanted:
        return True
    about = event.attributes.get("name", "")
    if event.kind == kind:
        named = {event.actor_id, about, about.partition(":")[0]}
        return any(value in named or event.actor_id.startswith(value) for value in wanted.values(kind))
    if kind == "container" and event.kind == "network":
        return any(event.attributes.get("container", "").startswith(value) for value in wanted.values(kind))
    return kind == "image" and event.attributes.get("image", "") in wanted.values(kind)
