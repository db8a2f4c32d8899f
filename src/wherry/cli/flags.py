"""Flags declared as data and parsed as pflag does, the library whose rules docker's users know.

`-it`, `-p8080:80`, `-e=K=V`, `--name=x`, `--name x`, `--` and `-` mean what they mean there. A verb that is not
`interspersed` takes everything after its first argument as arguments.
"""

from __future__ import annotations

from wherry.cli.errors import CommandError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Kind:
    """What a flag takes: its name in help, a reader that raises ValueError, whether it gathers values."""

    __slots__ = ("gathers", "read", "shown")

    def __init__(self, shown: str, read: Callable[[str], Any], *, gathers: bool = False) -> None:
        self.shown = shown
        self.read = read
        self.gathers = gathers


class Flag:
    """One flag. `shown_default` is what help says in `(default …)`; `hidden` keeps it out of help."""

    __slots__ = ("default", "help", "hidden", "kind", "name", "short", "shown_default")

    def __init__(
        self,
        name: str,
        short: str,
        kind: Kind,
        text: str,
        *,
        default: Any = None,
        shown_default: str = "",
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = text
        self.default = default if default is not None else _zero(kind)
        self.shown_default = shown_default
        self.hidden = hidden

    def __str__(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Given:
    """The values of a verb's flags by name, and in `changed` the names that were typed."""

    __slots__ = ("changed", "values")

    def __init__(self, flags: tuple[Flag, ...]) -> None:
        self.values: dict[str, Any] = {
            flag.name: list(flag.default) if flag.kind.gathers else flag.default for flag in flags
        }
        self.changed: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Verb:
    """A verb of the command line: how it is used, its flags, how many arguments, and what runs it.

    `run` is given the session and returns the program's exit status. `arguments_max` None means any number.
    """

    __slots__ = ("arguments_max", "arguments_min", "details", "flags", "interspersed", "run", "usage")

    def __init__(
        self,
        usage: str,
        run: Callable[[Any, Given, list[str]], int],
        *flags: Flag,
        arguments: tuple[int, int | None] = (0, 0),
        interspersed: bool = True,
        details: str = "",
    ) -> None:
        self.usage = usage
        self.run = run
        self.flags = flags
        self.arguments_min, self.arguments_max = arguments
        self.interspersed = interspersed
        self.details = details


class HelpWanted(Exception):
    """`--help` was typed."""


def read_bool(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def read_int(text: str) -> int:
    """Go's strconv.ParseInt with base 0: decimal, 0x, 0o, 0b, and a leading 0 for octal; 64 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    octal = len(digits) > 1 and digits[0] == "0" and not digits.strip("01234567")
    try:
        # A second sign, or white space, would pass Python's reader.
        value = int(digits if digits[:1].isdigit() else "", 8 if octal else 0) * (-1 if text[0] == "-" else 1)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


BOOL = Kind("", read_bool)
STRING = Kind("string", str)
INT = Kind("int", read_int)
LIST = Kind("list", str, gathers=True)
STRINGS = Kind("strings", str, gathers=True)


def _zero(kind: Kind) -> Any:
    if kind.gathers:
        return []
    return {"": False, "string": "", "int": 0}.get(kind.shown)


def parse(flags: tuple[Flag, ...], words: list[str], *, interspersed: bool = True) -> tuple[Given, list[str]]:
    """The flags' values and the arguments in `words`. Raises UsageError in pflag's words, or HelpWanted."""
    given = Given(flags)
    reading = _Reading({flag.name: flag for flag in flags}, given, words)
    arguments: list[str] = []
    while reading.words:
        word = reading.words.pop(0)
        if word == "--":
            return given, arguments + reading.words
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if not interspersed:
                return given, arguments + reading.words
        elif word[1] == "-":
            reading.long(word)
        else:
            reading.short(word)
    return given, arguments


class _Reading:
    """The words not read yet, and where the values of those that were read go."""

    __slots__ = ("by_name", "given", "words")

    def __init__(self, by_name: dict[str, Flag], given: Given, words: list[str]) -> None:
        self.by_name = by_name
        self.given = given
        self.words = list(words)

    def long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] in "-=":
            raise UsageError(f"bad flag syntax: {word}")
        flag = self.by_name.get(name)
        if flag is None:
            if name == "help":
                raise HelpWanted
            raise UsageError(f"unknown flag: --{name}")
        if not equals:
            value = self._value_after(flag, f"--{name}")
        self._set(flag, value)

    def short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = next((flag for flag in self.by_name.values() if flag.short == letter), None)
            if flag is None:
                if letter == "h":
                    raise HelpWanted
                raise UsageError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            if letters[:1] == "=" and len(letters) > 1:
                return self._set(flag, letters[1:])
            if flag.kind is not BOOL:
                value = letters or self._value_after(flag, f"'{letter}' in {word}")
                return self._set(flag, value)
            self._set(flag, "true")
        return None

    def _value_after(self, flag: Flag, shown: str) -> str:
        if flag.kind is BOOL:
            return "true"
        if not self.words:
            raise UsageError(f"flag needs an argument: {shown}")
        return self.words.pop(0)

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = flag.kind.read(text)
        except ValueError as error:
            raise UsageError(f'invalid argument "{text}" for "{flag}" flag: {error}') from None
        if not flag.kind.gathers:
            self.given.values[flag.name] = value
        elif isinstance(value, list):
            self.given.values[flag.name].extend(value)
        else:
            self.given.values[flag.name].append(value)
        self.given.changed.add(flag.name)


def check_arguments(verb: Verb, count: int, path: str) -> None:
    """Raise CommandError when `count` arguments do not fit `verb`, which was typed as `path`."""
    least, most = verb.arguments_min, verb.arguments_max
    if count >= least and (most is None or count <= most):
        return
    pointer = "Run"
    if most == 0:
        message = "accepts no arguments"
    elif most == least:
        message = f"requires {_arguments(least)}"
    elif most is None:
        message, pointer = f"requires at least {_arguments(least)}", "See"
    elif not least:
        message = f"requires at most {_arguments(most)}"
    else:
        message = f"requires at least {least} and at most {_arguments(most)}"
    usage = f"Usage:  {path} {verb.usage}".rstrip()
    program = path.partition(" ")[0]
    raise CommandError(f"{program}: '{path}' {message}\n\n{usage}\n\n{pointer} '{path} --help' for more information")


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"
