"""Times, sizes and names as docker shows them to people."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
MINUTE, HOUR, DAY, WEEK, MONTH, YEAR = 60, 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400
ID_LETTERS = 12


def duration(seconds: float) -> str:
    """How long, in one unit: "3 minutes", "About an hour", "2 weeks"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < MINUTE:
        return f"{whole} seconds"
    if whole // MINUTE == 1:
        return "About a minute"
    if whole // MINUTE < 60:
        return f"{whole // MINUTE} minutes"
    hours = int(seconds / HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for unit, name, least in ((DAY, "days", 2 * WEEK), (WEEK, "weeks", 2 * MONTH), (MONTH, "months", 2 * YEAR)):
        if hours * HOUR < least:
            return f"{hours * HOUR // unit} {name}"
    return f"{int(seconds / HOUR) // 24 // 365} years"


def ago(then: float) -> str:
    """How long ago the Unix time `then` was; "N/A" for 0."""
    return f"{duration(time.time() - then)} ago" if then else "N/A"


def size(count: float, digits: int = 4) -> str:
    """Bytes in units of 1000, with at most `digits` significant digits."""
    return _scaled(count, 1000.0, DECIMAL, digits)


def size_binary(count: float, digits: int = 4) -> str:
    """Bytes in units of 1024."""
    return _scaled(count, 1024.0, BINARY, digits)


def _scaled(count: float, base: float, units: tuple[str, ...], digits: int) -> str:
    unit = 0
    while count >= base and unit < len(units) - 1:
        count /= base
        unit += 1
    return f"{count:.{digits}g}{units[unit]}"


def moment(unix: float) -> str:
    """A Unix time in the local zone as Go prints it: "2006-01-02 15:04:05 -0700 MST"."""
    local = time.localtime(unix)
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", local)


def short_id(identifier: str) -> str:
    """The first 12 letters, without the algorithm before a colon."""
    return identifier.rpartition(":")[2][:ID_LETTERS]


def ellipsis(text: str, width: int) -> str:
    """`text` cut to `width` letters, the last one an ellipsis when something is missing."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if width > 1 else text[:width]


def quote(text: str) -> str:
    """Go's strconv.Quote: in double quotes, with letters that cannot be shown escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b"}
    known |= {"\f": "\\f", "\v": "\\v"}
    return '"' + "".join([known.get(letter) or _escaped(letter) for letter in text]) + '"'


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def labels(pairs: Mapping[str, str] | None) -> str:
    """Labels in one line, sorted."""
    return ",".join(sorted([f"{name}={value}" for name, value in (pairs or {}).items()]))
