"""What stands at a path in a container, as the API's PathStat."""

import os
from datetime import UTC, datetime
from typing import Any

from wherry.storage.paths import Found

_NANOSECONDS = 1_000_000_000


def path_stat_view(found: Found) -> dict[str, Any]:
    """The value of the header that `docker cp` reads."""
    return {
        "name": os.fsdecode(found.name),
        "size": found.size,
        "mode": found.mode,
        "mtime": _time(found.mtime_ns),
        "linkTarget": os.fsdecode(found.target),
    }


def _time(time_ns: int) -> str:
    """As `rfc3339`, for which the epoch itself is no time."""
    seconds, fraction = divmod(time_ns, _NANOSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"
