"""Go's durations, such as `1.5s` and `2m30s`."""

import re

from wherry.model.errors import InvalidParameter

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """The seconds. Raises InvalidParameter in Go's words."""
    digits = text.removeprefix("-").removeprefix("+")
    if digits == "0":
        return 0.0
    parts = _PART.findall(digits)
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        words = "missing unit in" if digits.replace(".", "", 1).isdecimal() else "invalid"
        raise InvalidParameter(f'time: {words} duration "{text}"')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds
