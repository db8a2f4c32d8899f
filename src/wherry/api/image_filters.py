"""Filters of `docker images` as the library takes them."""

from wherry.api.forms import Filters
from wherry.images.list import Filters as ImageFilters
from wherry.model.clock import NANOSECONDS, now_ns, parse_rfc3339
from wherry.model.errors import InvalidParameter

ACCEPTED = ("before", "dangling", "label", "reference", "since", "until")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_UNITS = {"s": 1, "m": 60, "h": 3600}


def image_filters(said: Filters, *, old_name: str = "") -> ImageFilters:
    """Raises InvalidParameter in dockerd's words. `old_name` is the one name that clients before 1.25 may give."""
    for name in said:
        if name not in ACCEPTED:
            raise InvalidParameter(f"invalid filter '{name}'")
    until = said.get("until")
    return ImageFilters(
        dangling=_dangling(said.get("dangling", [])),
        labels=tuple(said.get("label", ())),
        references=(*said.get("reference", ()), *((old_name,) if old_name else ())),
        before=tuple(said.get("before", ())),
        since=tuple(said.get("since", ())),
        until_seconds=_seconds(until[0]) if until else None,
    )


def _dangling(values: list[str]) -> bool | None:
    if not values:
        return None
    said = {_TRUTHS[value] for value in values if value in _TRUTHS}
    if len(said) != 1:
        raise InvalidParameter(f"invalid filter 'dangling=[{' '.join(values)}]'")
    return said.pop()


def _seconds(text: str) -> int:
    """A time as seconds since the epoch, RFC 3339, or a span of time before now such as `10m`."""
    if text.isdecimal():
        return int(text)
    if text[-1:] in _UNITS and text[:-1].isdecimal():
        return now_ns() // NANOSECONDS - int(text[:-1]) * _UNITS[text[-1]]
    try:
        return parse_rfc3339(text) // NANOSECONDS
    except InvalidParameter:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"') from None
