"""Events on the wire, with the fields that clients from before `Type` and `Action` read."""

from typing import Any

from wherry.model.clock import NANOSECONDS
from wherry.model.event import Event


def event_view(event: Event) -> dict[str, Any]:
    """One line of `GET /events`."""
    return {
        **_old_fields(event),
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": event.scope,
        "time": event.time_ns // NANOSECONDS,
        "timeNano": event.time_ns,
    }


def _old_fields(event: Event) -> dict[str, str]:
    match event.kind:
        case "container":
            source = event.attributes.get("image", "")
            return {"status": event.action, **_unless_empty(id=event.actor_id, **{"from": source})}
        case "image":
            return {"status": event.action, **_unless_empty(id=event.actor_id)}
        case _:
            return {}


def _unless_empty(**fields: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
