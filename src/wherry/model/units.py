"""Sizes as people write them: `10m`, `64KiB`, `1.5g`, in bytes (go-units RAMInBytes and FromHumanSize)."""

import re

from wherry.model.errors import InvalidParameter

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_bytes(text: str) -> int:
    """The number of bytes; units are powers of 1024. Raises InvalidParameter `invalid size: 'x'`."""
    return _parse(text, 1024)


def parse_decimal_bytes(text: str) -> int:
    """The same with units that are powers of 1000, as dockerd reads the sizes of logs."""
    return _parse(text, 1000)


def _parse(text: str, base: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match.group(1)) * base ** _POWERS[match.group(2).lower()])
