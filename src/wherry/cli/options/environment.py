"""Environment variables and labels from flags and files, by docker's rules."""

from __future__ import annotations

import os

from wherry.cli.errors import CommandError

LINE_BYTES_MAX = 64 * 1024
SPACES = " \t\v\f\r\n"


def environment(files: list[str], flags: list[str]) -> list[str]:
    """`NAME=value` lines: the files' first, then the flags'.

    A name without a value takes this program's own value, and is left out where it has none. Raises CommandError.
    """
    gathered = [line for path in files for line in _file(path, look_up=True)]
    for flag in flags:
        name, equals, _ = flag.partition("=")
        if not name:
            raise CommandError(f"invalid environment variable: {flag}")
        if equals:
            gathered.append(flag)
        elif name in os.environ:
            gathered.append(f"{name}={os.environ[name]}")
        else:
            gathered.append(name)
    return gathered


def labels(files: list[str], flags: list[str]) -> dict[str, str]:
    """Labels from files and flags; a label without a value has an empty one."""
    lines = [line for path in files for line in _file(path, look_up=False)] + flags
    return pairs(lines)


def pairs(lines: list[str]) -> dict[str, str]:
    """`name=value` lines as a map; the last of equal names wins."""
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _file(path: str, *, look_up: bool) -> list[str]:
    """The variables of a file: comments and empty lines left out, bare names looked up when `look_up`."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise CommandError(f"open {path}: {(error.strerror or '').lower()}") from error
    found: list[str] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if len(raw) >= LINE_BYTES_MAX:
            raise CommandError("bufio.Scanner: token too long")
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            shown = "[" + " ".join(str(byte) for byte in raw) + "]"
            raise CommandError(f"invalid utf8 bytes at line {number}: {shown}") from None
        line = line.removesuffix("\r").lstrip(SPACES)
        if line and not line.startswith("#"):
            found += _line(line, path, look_up=look_up)
    return found


def _line(line: str, path: str, *, look_up: bool) -> list[str]:
    name, equals, value = line.partition("=")
    name = name.lstrip(SPACES)
    if any(letter in name for letter in " \t\n\v\f\r"):
        raise CommandError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
    if not name:
        raise CommandError(f"invalid env file ({path}): no variable name on line '{line}'")
    if equals:
        return [f"{name}={value}"]
    if look_up:
        return [f"{name}={os.environ[name]}"] if name in os.environ else []
    return [name]
