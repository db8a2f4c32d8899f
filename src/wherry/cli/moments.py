"""Points in time as users type them, to the daemon's form: Unix seconds and nanoseconds."""

from __future__ import annotations

import time
from datetime import UTC

from wherry.cli.errors import CommandError
from wherry.cli.options.quantities import duration

DIGITS = "0123456789"
# The forms of RFC 3339 that may be cut short, longest first; a zone may follow.
_FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def unix(text: str, flag: str = "") -> str:
    """`10m` (ago), a date, or Unix seconds, as `seconds.nanoseconds`; "" stays "".

    A date without a zone is in this computer's zone. Raises CommandError, naming `flag` if said.
    """
    if not text:
        return ""
    try:
        return _shown(time.time_ns() - duration(text))
    except ValueError:
        pass
    whole, _, fraction = text.partition(".")
    if whole and not (whole + fraction).strip(DIGITS):
        return f"{whole}.{fraction:<09}" if fraction else whole
    found = _date(text)
    if found is None:
        prefix = f'invalid value for "{flag}": ' if flag else ""
        raise CommandError(f'{prefix}failed to parse value as time or duration: "{text}"')
    return _shown(found)


def _shown(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def _date(text: str) -> int | None:
    """Nanoseconds since 1970 of a date, None when it is none."""
    from datetime import datetime

    body, zone = _zone(text)
    body, dot, fraction = body.partition(".")
    if dot and (not fraction or fraction.strip(DIGITS)):
        return None
    for form in _FORMS:
        try:
            moment = datetime.strptime(body + zone, form + ("%z" if zone else ""))  # noqa: DTZ007 - local time is meant
        except ValueError:
            continue
        seconds = int(moment.astimezone(UTC).timestamp())
        return seconds * 10**9 + int(fraction[:9].ljust(9, "0"))
    return None


def _zone(text: str) -> tuple[str, str]:
    """The text without its zone, and the zone."""
    if text.endswith("Z"):
        return text[:-1], "+0000"
    at = max(text.rfind("+"), text.rfind("-"))
    if at > len("2006-01-02") and text[at + 3 : at + 4] == ":":
        return text[:at], text[at:].replace(":", "")
    return text, ""
