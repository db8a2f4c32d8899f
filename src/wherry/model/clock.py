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
