"""The history of events on disk: a line each, appended as they happen, made short again when it has grown.

On disk: `events.jsonl`, JSON records of `model.event.Event`. A line is handed to the kernel before the event is told,
and never waited for: a daemon that is killed forgets nothing, a machine that loses its power the last seconds, and
maybe the end of a line, which is skipped.
"""

import logging
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from wherry.model.event import Event

FILE_MODE = 0o600

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class Journal:
    """One file of events. Used from the event loop's thread only; what cannot be written is not remembered."""

    def __init__(self, path: Path, *, events_max: int) -> None:
        """Open or make the file. At twice `events_max` lines it is written anew with the newest. Raises OSError."""
        self._path = path
        self._events_max = events_max
        self._lines = 0
        self._failing = False
        self._fd = _open(path, os.O_APPEND)

    def read(self) -> list[Event]:
        """The newest events of the file, oldest first. Raises OSError."""
        found = []
        lines = self._path.read_bytes().splitlines()
        self._lines = len(lines)
        for line in lines[-self._events_max :]:
            try:
                found.append(_decode(line))
            except msgspec.DecodeError:
                log.debug("a line of %s cannot be read", self._path)
        if lines and not self._path.read_bytes().endswith(b"\n"):
            self._shorten(found)
        return found

    def append(self, event: Event, history: Collection[Event]) -> None:
        """Write one more; `history` are the newest including it."""
        try:
            if self._lines >= 2 * self._events_max:
                self._shorten(history)
            else:
                os.write(self._fd, _encode(event) + b"\n")
                self._lines += 1
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("events are not remembered: %s: %s", self._path, error)
            self._failing = True

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _shorten(self, history: Collection[Event]) -> None:
        """Write the file anew beside itself, and put it in its place."""
        new = self._path.with_suffix(".new")
        fd = _open(new, os.O_TRUNC)
        try:
            os.write(fd, b"".join(_encode(event) + b"\n" for event in history))
        finally:
            os.close(fd)
        os.replace(new, self._path)
        fresh = _open(self._path, os.O_APPEND)
        os.close(self._fd)
        self._fd, self._lines = fresh, len(history)


def _open(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, FILE_MODE)
