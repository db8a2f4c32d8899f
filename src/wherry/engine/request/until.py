"""The filter `until`: a point in time, or how long before now (moby `api/types/time`)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from wherry.model.clock import NANOSECONDS, now_ns, parse_rfc3339
from wherry.model.errors import InvalidParameter

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_UNIX = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?")
_LOCAL_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def until_ns(said: Mapping[str, Sequence[str]]) -> int | None:
    """The limit among filters in nanoseconds since the epoch, None for none. Raises InvalidParameter."""
    values = said.get("until", ())
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return moment_ns(values[0]) if values else None


def moment_ns(text: str) -> int:
    """RFC 3339, seconds since the epoch, a date, or a span before now such as `1h30m`. Raises InvalidParameter."""
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now_ns() - int(sum(float(number) * _UNITS_NS[unit] for number, unit in parts))
    unix = _UNIX.fullmatch(text)
    if unix:
        return int(unix[1]) * NANOSECONDS + int((unix[2] or "").ljust(9, "0"))
    for form in _LOCAL_FORMATS:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * NANOSECONDS
        except ValueError:
            continue
    try:
        return parse_rfc3339(text)
    except (InvalidParameter, OverflowError):
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"') from None
