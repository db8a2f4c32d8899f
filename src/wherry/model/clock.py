"""Times as whole nanoseconds since the epoch, 0 for never, and their RFC 3339 form."""

import re
import time
from datetime import UTC, datetime

from wherry.model.errors import InvalidParameter

NEVER = 0
ZERO_TIME = "0001-01-01T00:00:00Z"
NANOSECONDS = 1_000_000_000

_FRACTION = re.compile(r"\.(\d{1,9})\d*")


def now_ns() -> int:
    """The wall clock in nanoseconds since the epoch."""
    return time.time_ns()


def rfc3339(time_ns: int) -> str:
    """`2006-01-02T15:04:05.999999999Z` as Go's RFC3339Nano: trailing zeros cut; Go's zero time for never."""
    if time_ns == NEVER:
        return ZERO_TIME
    seconds, fraction = divmod(time_ns, NANOSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


def go_duration(nanoseconds: int) -> str:
    """A span of time as Go prints it: `1m30s`, `1.5s`, `300ms`, `2µs`."""
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if abs(nanoseconds) < size * 1000:
            return f"{_decimal(nanoseconds, size)}{unit}" if nanoseconds else "0s"
    sign = "-" if nanoseconds < 0 else ""
    minutes, rest = divmod(abs(nanoseconds), 60 * NANOSECONDS)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, NANOSECONDS)}s"
    return sign + (f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text)


def _decimal(amount: int, size: int) -> str:
    whole, fraction = divmod(abs(amount), size)
    digits = f"{fraction:0{len(str(size)) - 1}d}".rstrip("0") if fraction else ""
    return f"{'-' if amount < 0 and size < NANOSECONDS else ''}{whole}{'.' if digits else ''}{digits}"


def parse_rfc3339(text: str) -> int:
    """The inverse of `rfc3339`, for any offset. Raises InvalidParameter."""
    if text == ZERO_TIME:
        return NEVER
    fraction = _FRACTION.search(text)
    try:
        whole = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    except ValueError:
        raise InvalidParameter(f"invalid time: {text!r}") from None
    nanoseconds = int(fraction.group(1).ljust(9, "0")) if fraction else 0
    return int(whole.timestamp()) * NANOSECONDS + nanoseconds
