"""Events: what happened to whom, as `GET /events` tells it."""

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """One happening. `kind` is the API's Type: container, image, network, volume, daemon."""

    kind: str
    action: str
    actor_id: str
    attributes: dict[str, str]
    time_ns: int
    scope: str = "local"
