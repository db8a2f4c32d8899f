"""`events`: what happens in the daemon."""

from __future__ import annotations

import time

from wherry.cli.errors import CommandError
from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP_SHORT
from wherry.cli.moments import unix
from wherry.cli.output import line
from wherry.client import system
from wherry.jsontext import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _events(session: Session, given: Given, _: list[str]) -> int:
    shown = _shower(given["format"])
    call = system.events(since=unix(given["since"]), until=unix(given["until"]), wanted=gathered(given["filter"]))
    for event in session.client.send(call).lines():
        line(shown(event))
    return 0


def _shower(form: str) -> Callable[[dict[str, Any]], str]:
    if not form:
        return _plain
    if form in ("json", "{{json .}}"):
        return encode
    from wherry.gotemplate import Template, TemplateError

    try:
        template = Template(form)
    except TemplateError as error:
        raise CommandError(f"Error parsing format: {error}", status=64) from error

    def render(event: dict[str, Any]) -> str:
        try:
            return template.render(_with_old_names(event))
        except TemplateError as error:
            raise CommandError(f"Error parsing format: {error}", status=64) from error

    return render


def _with_old_names(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the fields of early APIs, which templates still name."""
    old = {"Status": event.get("status", ""), "ID": event.get("id", ""), "From": event.get("from", "")}
    named = {"Scope": event.get("scope", ""), "Time": event.get("time", 0), "TimeNano": event.get("timeNano", 0)}
    return {**event, **old, **named}


def _plain(event: dict[str, Any]) -> str:
    nanoseconds = event.get("timeNano") or event.get("time", 0) * 10**9
    actor = event.get("Actor") or {}
    text = f"{_moment(nanoseconds)} {event['Type']} {event['Action']} {actor.get('ID', '')}"
    attributes = actor.get("Attributes") or {}
    if attributes:
        text += " (" + ", ".join([f"{name}={attributes[name]}" for name in sorted(attributes)]) + ")"
    return text


def _moment(nanoseconds: int) -> str:
    """A time in the local zone with nine digits after the second."""
    local = time.localtime(nanoseconds // 10**9)
    zone = time.strftime("%z", local)
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{nanoseconds % 10**9:09}{zone}"


EVENTS = Verb(
    "[OPTIONS]",
    _events,
    Flag("filter", "f", FILTER, "Show only what fits, such as type=container"),
    Flag("format", "", STRING, FORMAT_HELP_SHORT),
    Flag("since", "", STRING, "Begin at a time, in the past too"),
    Flag("until", "", STRING, "End at a time"),
)
