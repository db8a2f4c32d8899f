"""Writing to standard output in UTF-8, whatever the locale says, gathered until the end or `flush`."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def emit(text: str) -> None:
    """Write text to standard output."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def line(text: str) -> None:
    """Write text and a line's end, at once visible."""
    emit(text + "\n")
    flush()


def complain(text: str) -> None:
    """Write a line to the error stream, after all that went to standard output before."""
    flush()
    stream: BinaryIO = sys.stderr.buffer
    stream.write(text.encode("utf-8", "surrogateescape") + b"\n")
    stream.flush()


def flush() -> None:
    """Make visible what was written; a reader that has left is no error of ours."""
    try:
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
