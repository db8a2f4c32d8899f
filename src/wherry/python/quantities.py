"""Sizes and times as people say them, in the API's units."""

from datetime import datetime

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def bytes_of(size: int | str) -> int:
    """`64m`, `1.5g`, `512` or a number in bytes. Raises ValueError for other text."""
    if isinstance(size, int):
        return size
    text = size.strip().lower()
    number = text.rstrip("bkmgti")
    unit = text[len(number) :].removesuffix("b").removesuffix("i")
    try:
        return int(float(number) * _UNITS[unit])
    except (KeyError, ValueError):
        raise ValueError(f"{size!r} is no size such as 64m") from None


def nanoseconds_of(seconds: float) -> int:
    """As the API has durations."""
    return round(seconds * 1_000_000_000)


def moment_of(time: datetime | float | str | None) -> str:
    """A time as the API takes it in a query: Unix seconds with a fraction; "" for None; text goes as it is."""
    if isinstance(time, datetime):
        return f"{time.timestamp():.6f}"
    if isinstance(time, str):
        return time
    return "" if time is None else f"{time:.9f}"
