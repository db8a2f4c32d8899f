"""The progress of pulls, pushes and loads: lines that change in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.human import size
from wherry.cli.output import flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    Message = dict[str, Any]

BAR_LETTERS = 50
COLUMNS_FOR_BAR = 110
CLEAR = "\x1b[2K"


class Display:
    """Where messages go; `ids` remembers the line of each layer on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._on_terminal = terminal.is_terminal(stream.fileno())
        self._lines: dict[str, int] = {}
        self._columns = terminal.size(stream.fileno())[1] or 200

    def show(self, message: Message) -> None:
        """One message of the daemon's stream. Raises CommandError for an error in it."""
        if message.get("error") or message.get("errorDetail"):
            detail = message.get("errorDetail") or {}
            raise CommandError(str(detail.get("message") or message.get("error")))
        if message.get("aux") is not None and "status" not in message and "stream" not in message:
            return
        identifier = message.get("id", "")
        progress = message.get("progressDetail") or {}
        if self._on_terminal and identifier and (message.get("progressDetail") is not None or "progress" in message):
            self._in_place(identifier, message, progress)
        elif not progress or self._on_terminal:
            self._lines.clear()
            self._write(self._text(message, progress))

    def _in_place(self, identifier: str, message: Message, progress: Message) -> None:
        if identifier not in self._lines:
            self._lines[identifier] = len(self._lines)
            self._write("\n")
        up = len(self._lines) - self._lines[identifier]
        text = self._text(message, progress).rstrip("\n")
        self._write(f"\x1b[{up}A{CLEAR}\r{text}\r\x1b[{up}B")

    def _text(self, message: Message, progress: Message) -> str:
        if message.get("stream"):
            return str(message["stream"])
        prefix = f"{message['id']}: " if message.get("id") else ""
        bar = f" {self._bar(progress)}" if progress and self._on_terminal else ""
        return f"{prefix}{message.get('status', '')}{bar or ' ' * bool(self._on_terminal and prefix)}\n"

    def _bar(self, progress: Message) -> str:
        current, total = progress.get("current", 0), progress.get("total", 0)
        if current <= 0 and total <= 0:
            return ""
        if progress.get("units"):
            return f"{current}/{total} {progress['units']}" if total else f"{current} {progress['units']}"
        if total <= 0 or current > total:
            return f"{size(current):>8}"
        bar = ""
        if self._columns > COLUMNS_FOR_BAR:
            done = min(current * 100 // total // 2, BAR_LETTERS)
            bar = "[" + "=" * done + ">" + " " * (BAR_LETTERS - done) + "]  "
        return f"{bar}{size(current):>8}/{size(total)}"

    def _write(self, text: str) -> None:
        flush()
        self._stream.write(text)
        self._stream.flush()


def show(
    messages: Iterable[Message], stream: TextIO | None = None, on_aux: Callable[[Any], None] | None = None
) -> None:
    """Show a stream of messages; `on_aux` is told the values that are for programs."""
    display = Display(stream or sys.stdout)
    for message in messages:
        if on_aux is not None and message.get("aux") is not None:
            on_aux(message["aux"])
        display.show(message)


def drain(messages: Iterable[Message]) -> None:
    """Read a stream and show nothing. Raises CommandError for an error in it."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        show(messages, nowhere)
