"""Files that containers read during the measurements: the same for both engines, made once, by a fixed seed."""

import random
from pathlib import Path

_BYTES = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,:;-_/()=+"
_PIECE_BYTES = 1_000_000


def lines(directory: Path, *, shortest: int, longest: int, megabytes: int) -> Path:
    """A file of lines whose lengths, newlines included, lie between the two, evenly spread."""
    path = directory / f"lines-{shortest}-{longest}-{megabytes}"
    if not path.exists():
        chance = random.Random(7)
        text = bytes(chance.choices(_BYTES, k=_PIECE_BYTES))
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(_cut(text, chance, shortest, longest))
    return path


def numbered_lines(directory: Path, count: int) -> Path:
    """A file of so many lines of about 40 bytes, each of which says which it is."""
    path = directory / f"numbered-{count}"
    if not path.exists():
        path.write_text("".join(f"line {number:08} of what the container says\n" for number in range(count)))
    return path


def noise(directory: Path, *, megabytes: int) -> Path:
    """A file of bytes that mean nothing."""
    path = directory / f"noise-{megabytes}"
    if not path.exists():
        chance = random.Random(7)
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(chance.randbytes(1_000_000))
    return path


def _cut(text: bytes, chance: random.Random, shortest: int, longest: int) -> bytes:
    """The text with newlines in it, the last byte being one."""
    cut = bytearray(text)
    at = chance.randint(shortest, longest) - 1
    while at < len(cut):
        cut[at] = 10
        at += chance.randint(shortest, longest)
    cut[-1] = 10
    return bytes(cut)
