"""The command line as values: flags anywhere among the arguments, runc's names and crun's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from wherry.libcontainer.command.errors import UsageError


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its names without dashes, the first being the one it is known by."""

    names: tuple[str, ...]
    help: str
    takes_value: bool = False
    repeats: bool = False
    default: str = ""


@dataclass(slots=True)
class Arguments:
    """What stood on a command line."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether a flag was given (and not as `--flag=false`)."""
        return self.values.get(name, "false") not in ("false", "0")

    def value(self, name: str, default: str = "") -> str:
        """A flag's value."""
        return self.values.get(name, default)

    def number(self, name: str) -> int | None:
        """A flag's value as a number; None when it was not given. Raises UsageError."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise UsageError(f'invalid value "{text}" for flag -{name}: parse error') from None

    def all(self, name: str) -> list[str]:
        """The values of a flag that may be repeated."""
        return self.lists.get(name, [])


def parse(words: Sequence[str], flags: Sequence[Flag], *, positional_max: int | None = None) -> Arguments:
    """Read words; after `positional_max` positional ones, or `--`, the rest is positional too. Raises UsageError."""
    known = {name: flag for flag in flags for name in flag.names}
    found = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.positional += rest
            break
        if not word.startswith("-") or word == "-":
            found.positional.append(word)
            if positional_max is not None and len(found.positional) >= positional_max:
                found.positional += rest
                break
            continue
        _take(word, rest, known, found)
    return found


def _take(word: str, rest: list[str], known: dict[str, Flag], found: Arguments) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    flag = known.get(name)
    if flag is None and not word.startswith("--") and len(name) > 1 and not equals:
        _take_short(name, rest, known, found)
        return
    if flag is None:
        raise UsageError(f"flag provided but not defined: -{name}")
    if flag.takes_value and not equals:
        if not rest:
            raise UsageError(f"flag needs an argument: -{name}")
        value = rest.pop(0)
    elif not flag.takes_value:
        value = value if equals else "true"
    _keep(flag, value, found)


def _take_short(letters: str, rest: list[str], known: dict[str, Flag], found: Arguments) -> None:
    """`-it`, or `-u0`: several short flags, or one with its value."""
    for place, letter in enumerate(letters):
        flag = known.get(letter)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{letters}")
        if flag.takes_value:
            value = letters[place + 1 :]
            if not value and not rest:
                raise UsageError(f"flag needs an argument: -{letter}")
            _keep(flag, value or rest.pop(0), found)
            return
        _keep(flag, "true", found)


def _keep(flag: Flag, value: str, found: Arguments) -> None:
    if flag.repeats:
        found.lists.setdefault(flag.names[0], []).append(value)
    else:
        found.values[flag.names[0]] = value


def describe(flags: Sequence[Flag]) -> str:
    """The flags as a help text."""
    rows = []
    for flag in flags:
        names = ", ".join(f"-{name}" if len(name) == 1 else f"--{name}" for name in flag.names)
        rows.append((names + (" value" if flag.takes_value else ""), flag.help))
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(f"   {left:<{width}}  {right}" for left, right in rows)
