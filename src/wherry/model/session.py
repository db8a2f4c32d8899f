"""Sessions: what was made in one goes when its last client has gone."""

from msgspec import Struct

# The label that puts a container or a volume into a session, and the request header that says the same.
LABEL = "wherry.session"
HEADER = "X-Wherry-Session"


class SessionRecord(Struct, frozen=True, kw_only=True):
    """One session. It waits `grace_seconds` for a client to come back when the last one has gone."""

    id: str
    opened_ns: int
    grace_seconds: float = 0.0
