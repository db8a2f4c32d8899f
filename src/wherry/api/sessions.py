"""Requests that say by a header which session they belong to: what docker's config.json adds to every one of them."""

from wherry.api.routing import Call
from wherry.model.session import HEADER, LABEL


def in_session(call: Call, labels: dict[str, str] | None) -> dict[str, str] | None:
    """The labels of what is to be made, with the session's; one that was said wins."""
    session_id = call.request.headers.get(HEADER)
    return {LABEL: session_id, **(labels or {})} if session_id else labels
