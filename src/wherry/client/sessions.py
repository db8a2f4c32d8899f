"""Calls about sessions, an extension of Wherry's: what is made in one is removed when nobody holds it any more."""

from __future__ import annotations

from wherry.client.call import Call


def hold(session_id: str = "", *, grace_seconds: float = 0.0) -> Call:
    """A stream that holds a session, a new one without an id: one line with its `Id`, then nothing until it ends."""
    if session_id:
        return Call("POST", f"/sessions/{session_id}")
    return Call("POST", "/sessions", query={"grace": f"{grace_seconds:g}" if grace_seconds else ""})


def listing() -> Call:
    """The sessions that are open: a list of objects."""
    return Call("GET", "/sessions")


def end(session_id: str) -> Call:
    """End a session whoever holds it; when this is answered nothing of it is left."""
    return Call("DELETE", f"/sessions/{session_id}")
