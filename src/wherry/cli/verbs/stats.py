"""`stats`: what containers use, once or again and again."""

from __future__ import annotations

import time

from wherry.cli import rows_stats
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.listing import FORMAT_HELP, show
from wherry.cli.output import complain, emit, flush
from wherry.client import containers
from wherry.client.errors import ApiError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Item = dict[str, Any]

# Each waits on a connection of its own.
AT_ONCE = 100
PERIOD_SECONDS = 1.0
FROM_THE_TOP = "\033[H\033[J"


def _stats(session: Session, given: Given, names: list[str]) -> int:
    if given["no-stream"]:
        items, errors = _ask(session, given, names, one_shot=False)
        for error in errors:
            complain(str(error))
        if not errors:
            _show(session, given, items)
        return 1 if errors else 0
    return _stream(session, given, names)


def _wanted(session: Session, given: Given, names: list[str]) -> list[str]:
    """The containers to ask for: those named, or all that run."""
    if names:
        return names
    found = session.client.json(containers.listing(all_states=given["all"]))
    return [it["Id"] if given["no-trunc"] else it["Id"][: rows_stats.ID_LETTERS] for it in found]


def _stream(session: Session, given: Given, names: list[str]) -> int:
    """Until it is interrupted; containers come and go meanwhile, but one that was named must be there at first."""
    before: dict[str, Item] = {}
    while True:
        began = time.monotonic()
        items, errors = _ask(session, given, names, one_shot=True)
        if errors and not before:
            raise errors[0]
        if names and not items:
            return 0
        for item in items:
            item["precpu_stats"] = before.get(item["id"], item)["cpu_stats"]
        before = {item["id"]: item for item in items}
        _redraw(session, given, items)
        time.sleep(max(0.0, PERIOD_SECONDS - (time.monotonic() - began)))


def _ask(session: Session, given: Given, names: list[str], *, one_shot: bool) -> tuple[list[Item], list[ApiError]]:
    """All of them at once, as each takes a while. One that is gone by now is an error if it was named."""
    items: list[Item] = []
    errors: list[ApiError] = []
    wanted = _wanted(session, given, names)
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        under_way = [(name, session.client.begin(containers.stats(name, one_shot=one_shot))) for name in part]
        for name, pending in under_way:
            try:
                items.append({**pending.json(), "container": name})
            except ApiError as error:
                if names or not isinstance(error, NotFound):
                    errors.append(error)
    return items, errors


def _redraw(session: Session, given: Given, items: list[Item]) -> None:
    """In one piece, so that nothing flickers."""
    emit(FROM_THE_TOP)
    _show(session, given, items)
    flush()


def _show(session: Session, given: Given, items: list[Item]) -> None:
    form = given["format"] or session.settings.get("statsFormat", "")
    show(rows_stats.usage(full=given["no-trunc"]), items, form=form)


STATS = Verb(
    "[OPTIONS] [CONTAINER...]",
    _stats,
    Flag("all", "a", BOOL, "Show stopped containers too"),
    Flag("format", "", STRING, FORMAT_HELP),
    Flag("no-stream", "", BOOL, "Show the figures once, and end"),
    Flag("no-trunc", "", BOOL, "Cut nothing short"),
    arguments=(0, None),
)
