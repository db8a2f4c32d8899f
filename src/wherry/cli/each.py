"""Doing the same with every name on the command line: names that succeed are printed, errors told at the end."""

from __future__ import annotations

from wherry.cli.output import complain, line
from wherry.client.errors import ApiError, NotFound

# As many as docker has under way; each waits on its own connection.
AT_ONCE = 50

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.session import Session
    from wherry.client.call import Call


def each(
    session: Session,
    names: list[str],
    action: Callable[[str], Call],
    *,
    done: Callable[[str, bytes], None] | None = None,
    ignore_absent: bool = False,
) -> int:
    """Send the call that `action` makes of each name, up to AT_ONCE at a time; 1 if any failed.

    `done` is told each name and its answer's body, and by default prints the name. `ignore_absent` tells that
    a thing was not there, but does not count it as a failure.
    """
    failed = False
    errors: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        under_way = [(name, session.client.begin(action(name))) for name in names[start : start + AT_ONCE]]
        for name, pending in under_way:
            try:
                body = pending.answer().read()
            except ApiError as error:
                errors.append(str(error))
                failed |= not (ignore_absent and isinstance(error, NotFound))
            else:
                line(name) if done is None else done(name, body)
    for text in errors:
        complain(text)
    return 1 if failed else 0
