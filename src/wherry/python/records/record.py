"""How a record is made of an answer's JSON.

Nulls and Go's zero time count as not said. Fields that a record does not name are in `raw`; numbers that come as
text become numbers.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from wherry.client.errors import ProtocolError

RAW = " raw"
NO_TIME = "0001-01-01T00:00:00Z"

T = TypeVar("T")


class Record(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A part of an answer."""


class Whole(Record, frozen=True, kw_only=True, rename="pascal"):
    """A whole answer; `raw` is its JSON as it came."""

    raw: dict[str, Any] = field(name=RAW, default_factory=dict)

    def __repr__(self) -> str:
        named = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "raw")
        return f"{type(self).__name__}({', '.join(named)})"


def read(kind: type[T], value: Any) -> T:
    """An answer as a record. Raises ProtocolError for what is not one."""
    if not isinstance(value, dict):
        raise ProtocolError(f"the daemon answered with {type(value).__name__} where an object was expected")
    try:
        return msgspec.convert({**_said(value), RAW: value}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the daemon's answer cannot be understood: {error}") from error


def read_all(kind: type[T], values: Iterable[Any] | None) -> tuple[T, ...]:
    """A list of answers as records; null is an empty one."""
    return tuple(read(kind, value) for value in values or ())


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _said(item) for key, item in value.items() if item is not None and item != NO_TIME}
    if isinstance(value, list):
        return [_said(item) for item in value if item is not None]
    return value
