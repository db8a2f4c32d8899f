"""Files and standard input as pieces of a request's body."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 1 << 18


def pieces(descriptor: int) -> Iterator[bytes]:
    """What can be read from `descriptor`; closed at the end, unless it is standard input."""
    try:
        while data := os.read(descriptor, PIECE):
            yield data
    finally:
        if descriptor:
            os.close(descriptor)
