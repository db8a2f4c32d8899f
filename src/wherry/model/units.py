"""Sizes as people write them: `10m`, `64KiB`, `1.5g`, in bytes (go-units RAMInBytes and FromHumanSize)."""

import math
import re

from wherry.model.errors import InvalidParameter

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SUFFIX_LENGTH_MAX = 3
_SIGNED_MAX = (1 << 63) - 1


def parse_bytes(text: str) -> int:
    """The number of bytes; units are powers of 1024. Raises InvalidParameter in go-units' words."""
    return _parse(text, 1024)


def parse_decimal_bytes(text: str) -> int:
    """The same with units that are powers of 1000, as dockerd reads the sizes of logs."""
    return _parse(text, 1000)


def _parse(text: str, base: int) -> int:
    last = max(text.rfind(letter) for letter in "0123456789. ")
    if last < 0:
        raise InvalidParameter(f"invalid size: '{text}'")
    # One space may stand between the two.
    value = _number(text[:last] if text[last] == " " else text[: last + 1])
    if value < 0:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(min(value * base ** _power(text[last + 1 :]), _SIGNED_MAX))


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise InvalidParameter(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    if math.isinf(value := float(text)):
        raise InvalidParameter(f'strconv.ParseFloat: parsing "{text}": value out of range')
    return value


def _power(suffix: str) -> int:
    if len(suffix) > _SUFFIX_LENGTH_MAX:
        raise InvalidParameter(f"invalid suffix: '{suffix}'")
    unit = suffix.lower()
    if unit in {"", "b"}:
        return 0
    if unit[0] not in _POWERS or unit[1:] not in {"", "b", "ib"}:
        raise InvalidParameter(f"invalid suffix: '{unit}'")
    return _POWERS[unit[0]]
