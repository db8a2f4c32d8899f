"""The terminal this program runs in: raw mode and back, size, and the keys that detach."""

from __future__ import annotations

import os
import termios
from fcntl import ioctl

from wherry.cli.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

DETACH_KEYS = "ctrl-p,ctrl-q"


def size(descriptor: int) -> tuple[int, int]:
    """Rows and columns, (0, 0) for what is no terminal."""
    try:
        data = ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return 0, 0
    return int.from_bytes(data[0:2], "little"), int.from_bytes(data[2:4], "little")


def is_terminal(descriptor: int) -> bool:
    """True for a terminal, False for anything else, also for a closed descriptor."""
    return os.isatty(descriptor)


class Raw:
    """Within it the terminal hands on every key as it comes, and shows nothing by itself."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[object] | None = None

    def __enter__(self) -> None:
        if not is_terminal(self._descriptor):
            return
        self._before = termios.tcgetattr(self._descriptor)
        mode = termios.tcgetattr(self._descriptor)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, where: TracebackType | None) -> None:
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)  # type: ignore[arg-type]
            self._before = None


def detach_keys(text: str) -> bytes:
    """The bytes of a sequence such as `ctrl-p,ctrl-q` or `a,ctrl-@`. Raises CommandError for unknown keys."""
    keys = bytearray()
    for name in text.split(","):
        letter = name.removeprefix("ctrl-")
        code = ord(letter) if len(letter) == 1 else -1
        if len(name) == 1 and code < 128:
            keys.append(code)
        elif name.startswith("ctrl-") and letter == "@":
            keys.append(0)
        elif name.startswith("ctrl-") and "a" <= letter <= "z" and code >= 0:
            keys.append(code - ord("a") + 1)
        elif name.startswith("ctrl-") and letter in ("[", "\\", "]", "^", "_") and code >= 0:
            keys.append(code - ord("[") + 27)
        else:
            raise CommandError(f"invalid detach keys ({text}): Unknown character: '{name}'", status=125)
    return bytes(keys)


class Keys:
    """Looks for the detach sequence in what is typed; a part of it is held back until it is clear."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._held = b""

    def passed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to hand on, and whether the whole sequence was typed."""
        out = bytearray()
        for byte in typed:
            self._held += bytes([byte])
            if self._held == self._sequence:
                return bytes(out), True
            while self._held and not self._sequence.startswith(self._held):
                out.append(self._held[0])
                self._held = self._held[1:]
        return bytes(out), False
