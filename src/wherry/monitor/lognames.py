"""What a log's files are called: the one that is written, those before it, plain or compressed.

Either file names move on as dockerd's do (`x`, `x.1`, `x.2`, with `.gz` when compressed), or each file keeps a number
that is never used again (`log.00000007`). What is being compressed has the suffix `.tmp`; a crash leaves that, and the
next begin of the log removes it.
"""

import contextlib
import os
from typing import Protocol

COMPRESSED = ".gz"
TEMPORARY = ".tmp"
INDEX = ".index"
_DIGITS = 8


class Names(Protocol):
    """The files of one log in an open directory. All raise OSError."""

    @property
    def current(self) -> str:
        """The file that is written."""

    def advance(self) -> None:
        """What was current is a rotated one from now on, and the oldest go. Nobody has the current one open."""

    def rotated(self) -> list[str]:
        """Those that are not compressed, the newest first."""

    def clear(self) -> None:
        """Remove all; a new current one has yet to be made."""


class Shifted:
    """Docker's names of a json-file."""

    def __init__(self, directory: int, name: str, files_max: int) -> None:
        """At most so many files, the current one included."""
        self._directory = directory
        self._name = name
        self._files_max = files_max
        self.current = name

    def advance(self) -> None:
        """As dockerd: `x` becomes `x.1`, that `x.2`; with a single file the old one is unlinked."""
        if self._files_max < 2:
            self._unlink(self._name)
            return
        there = set(os.listdir(self._directory))
        for number in range(self._files_max - 1, 0, -1):
            for suffix in ("", COMPRESSED):
                name = f"{self._name}.{number}{suffix}"
                if name in there and number == self._files_max - 1:
                    self._unlink(name)
                elif name in there:
                    self._rename(name, f"{self._name}.{number + 1}{suffix}")
        self._rename(self._name, f"{self._name}.1")

    def rotated(self) -> list[str]:
        """Those that are not compressed, the newest first."""
        names = set(os.listdir(self._directory))
        return [name for number in range(1, self._files_max) if (name := f"{self._name}.{number}") in names]

    def clear(self) -> None:
        """Remove all, the current one last: a follower that misses it must not take an older one for what came next."""
        names = [name for name in os.listdir(self._directory) if name.startswith(f"{self._name}.")]
        for name in (*names, self._name):
            self._unlink(name)

    def _rename(self, old: str, new: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # not so many yet, or somebody removed it
            os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)


class Numbered:
    """`name.00000001` and so on: no file is ever renamed, and a place in the log is a number and an offset."""

    def __init__(self, directory: int, name: str, files_max: int) -> None:
        """At most so many files, the current one included. Go on with the last one that is there."""
        self._directory = directory
        self._name = name
        self._files_max = files_max
        found = self._found()
        plain, packed = found.get("", []), found.get(COMPRESSED, [])
        self._number = max([1, *plain, *(number + 1 for number in packed)])

    @property
    def current(self) -> str:
        """The file that is written."""
        return self._at(self._number)

    def advance(self) -> None:
        """The next number; what is too old goes."""
        self._number += 1
        self._remove_up_to(self._number - self._files_max)

    def rotated(self) -> list[str]:
        """Those that are not compressed, the newest first."""
        numbers = sorted(self._found().get("", []), reverse=True)
        return [self._at(number) for number in numbers[1:]]

    def clear(self) -> None:
        """Remove all; numbers go on."""
        self._number += 1
        self._remove_up_to(self._number - 1)

    def _remove_up_to(self, last: int) -> None:
        for suffix, numbers in self._found().items():
            for number in numbers:
                if number <= last:
                    with contextlib.suppress(FileNotFoundError):  # just compressed
                        os.unlink(f"{self._at(number)}{suffix}", dir_fd=self._directory)

    def _at(self, number: int) -> str:
        return f"{self._name}.{number:0{_DIGITS}}"

    def _found(self) -> dict[str, list[int]]:
        """Numbers by what follows them."""
        found: dict[str, list[int]] = {}
        for name in os.listdir(self._directory):
            start, _, rest = name.removeprefix(f"{self._name}.").partition(".")
            if name.startswith(f"{self._name}.") and start.isdecimal():
                found.setdefault(f".{rest}" if rest else "", []).append(int(start))
        return found


def remove_temporaries(directory: int) -> None:
    """What a crash has left of compressing. Raises OSError."""
    for name in os.listdir(directory):
        if name.endswith(TEMPORARY):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
