"""Crash points: named lines at which a daemon under test ends as by `kill -9`.

`WHERRY_CRASH_AT=NAME` ends it when it comes to that line for the first time, `NAME:3` for the third. `@FILE` has the
wish read from a file each time a point is reached, so that a running daemon can be told; while that says `?LIST`,
nothing ends and the points that are reached are written to the file LIST. Without the variable a point is an empty
call. Every name stands in the source once, and a test cuts every verb at each of them (`tests/crash`).
"""

import os
import signal
from collections import Counter

VARIABLE = "WHERRY_CRASH_AT"

_said = os.environ.get(VARIABLE, "")
_reached: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Come to a point; whoever set the variable decides whether it is the last. Raises OSError for an unfit file."""
    if _said:
        _come_to(name, _said if _said[0] != "@" else _read(_said[1:]))


def _come_to(name: str, wish: str) -> None:
    if wish.startswith("?"):
        with open(wish[1:], "a") as listed:
            listed.write(f"{name}\n")
        return
    wanted, _, count = wish.partition(":")
    if name == wanted:
        _reached[wish] += 1
        if _reached[wish] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
