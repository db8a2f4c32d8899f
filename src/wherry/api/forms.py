"""A request's query, read as leniently and refused in the same words as dockerd does."""

import json
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import parse_qsl

from wherry.api.target import bad_escape
from wherry.model.errors import InvalidParameter

Filters = dict[str, list[str]]

_FALSE = {"", "0", "no", "false", "none"}
_DECIMAL = frozenset("0123456789")
NANOSECONDS = 1_000_000_000
FIELDS_MAX = 10_000


class Form:
    """The query's fields; a field that is not there reads as the empty string."""

    def __init__(self, query: str) -> None:
        """The part of a request's target after `?`. It is parsed, and found wrong, when a route asks for a field."""
        self._query = query

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        _check(self._query)
        try:
            pairs = parse_qsl(self._query, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="replace")
        except ValueError:
            raise InvalidParameter(f"the query has more than {FIELDS_MAX} fields") from None
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        return values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """The first value of a field. Raises InvalidParameter in Go's words, as all that read a field."""
        return self._values.get(name, [""])[0]

    def texts(self, name: str) -> list[str]:
        """Every value of a field that may be repeated."""
        return self._values.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Anything is true but nothing, 0, no, false and none (moby httputils.BoolValue)."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def number(self, name: str, *, parser: str = "Atoi") -> int | None:
        """A decimal number, None when the field is absent or empty. Raises InvalidParameter in Go's words."""
        text = self.text(name)
        return parse_number(text, parser=parser) if text else None

    def size(self, name: str, what: str) -> int:
        """A terminal's `height` or `width` in characters. Raises InvalidParameter in dockerd's words."""
        text = self.text(name)
        digits = text.removeprefix("-")
        if not digits or not _DECIMAL.issuperset(digits):
            raise InvalidParameter(f"invalid resize {what} {quoted(text)}: invalid syntax")
        if len(text) > 10 or not 0 <= int(text) < 2**32:
            raise InvalidParameter(f"invalid resize {what} {quoted(text)}: value out of range")
        return int(text)

    def time_ns(self, name: str) -> int | None:
        """A time as `seconds` or `seconds.nanoseconds`, in nanoseconds. Raises InvalidParameter in Go's words."""
        text = self.text(name)
        if not text:
            return None
        seconds, _, fraction = text.partition(".")
        nanoseconds = parse_number(fraction[:9].ljust(9, "0"), parser="ParseInt") if fraction else 0
        return parse_number(seconds, parser="ParseInt") * NANOSECONDS + nanoseconds

    def filters(self, name: str = "filters") -> Filters:
        """Filters as `{"key": ["value"]}` or, as clients before 1.22 write, `{"key": {"value": true}}`.

        Raises InvalidParameter `invalid filter`.
        """
        text = self.text(name)
        if not text:
            return {}
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidParameter("invalid filter") from None
        return {} if decoded is None else _as_filters(decoded)


def _check(query: str) -> None:
    for field in query.split("&"):
        if ";" in field:
            raise InvalidParameter("invalid semicolon separator in query")
        wrong = bad_escape(field.replace("+", " "))
        if wrong:
            raise InvalidParameter(f"invalid URL escape {quoted(wrong)}")


def parse_number(text: str, *, parser: str = "Atoi") -> int:
    """A decimal number in 64 bits. Raises InvalidParameter in the words of Go's strconv."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not digits or not _DECIMAL.issuperset(digits):
        raise InvalidParameter(f"strconv.{parser}: parsing {quoted(text)}: invalid syntax")
    if len(digits) > 30 or not -(2**63) <= (number := int(text)) < 2**63:
        raise InvalidParameter(f"strconv.{parser}: parsing {quoted(text)}: value out of range")
    return number


def _as_filters(decoded: object) -> Filters:
    if not isinstance(decoded, dict):
        raise InvalidParameter("invalid filter")
    return {key: _filter_values(values) for key, values in decoded.items()}


def _filter_values(values: object) -> list[str]:
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return list(values)
    # The flags of the old form say nothing: {"id": {"abc": false}} filters as true does (seen with dockerd 28.5).
    if isinstance(values, Mapping) and all(isinstance(flag, bool) for flag in values.values()):
        return list(values)
    raise InvalidParameter("invalid filter")


def quoted(text: str) -> str:
    """A text as Go quotes it for people."""
    return json.dumps(text, ensure_ascii=False)
