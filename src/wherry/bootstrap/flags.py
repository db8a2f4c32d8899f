"""Command-line flags with pflag's syntax and words, because scripts and people know dockerd's."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = Any
Parse = Callable[[str], Value]

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_UNITS = "kmgtp"
_LABEL = re.compile(r"[^=\s][^=]*=.*", re.DOTALL)


class FlagError(ValueError):
    """A command line or a configuration that cannot be; the text is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag. `kind` is how its value is called in help; empty for a switch.

    `parse` reads one value; a list or map flag collects them. `key` is its name in the configuration file, empty
    when it has none. `refused` says why a value other than the default cannot be; `default` is for help.
    """

    name: str
    help: str
    kind: str = ""
    shorthand: str = ""
    parse: Parse = str
    collects: type[list] | type[dict] | None = None  # type: ignore[type-arg]
    key: str = ""
    default: str = ""
    hidden: bool = False

    @property
    def spelling(self) -> str:
        """As messages name it."""
        return f"-{self.shorthand}, --{self.name}" if self.shorthand else f"--{self.name}"


def parse_arguments(flags: Sequence[Flag], arguments: Iterable[str]) -> dict[str, Value]:
    """What was said, by flag name. Raises FlagError in pflag's words."""
    long = {flag.name: flag for flag in flags}
    short = {flag.shorthand: flag for flag in flags if flag.shorthand}
    said: dict[str, Value] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--" or not argument.startswith("-") or argument == "-":
            positional = rest if argument == "--" else [argument, *rest]
            if positional:
                raise FlagError(f'"wherryd" accepts no arguments, but was given "{positional[0]}"')
            break
        if argument.startswith("--"):
            _read_long(long, argument, rest, said)
        else:
            _read_short(short, argument, rest, said)
    return said


def _read_long(flags: Mapping[str, Flag], argument: str, rest: list[str], said: dict[str, Value]) -> None:
    name, equals, value = argument[2:].partition("=")
    flag = flags.get(name)
    if flag is None:
        raise FlagError(f"unknown flag: --{name}")
    if not equals:
        value = _next_value(flag, rest, f"--{name}")
    _take(flag, value, said)


def _read_short(flags: Mapping[str, Flag], argument: str, rest: list[str], said: dict[str, Value]) -> None:
    letters = argument[1:]
    while letters:
        flag = flags.get(letters[0])
        if flag is None:
            raise FlagError(f"unknown shorthand flag: {letters[0]!r} in {argument}")
        tail = letters[1:]
        if flag.kind and tail:
            return _take(flag, tail.removeprefix("="), said)
        if tail.startswith("="):
            return _take(flag, tail[1:], said)
        _take(flag, _next_value(flag, rest, f"{letters[0]!r} in {argument}"), said)
        letters = tail
    return None


def _next_value(flag: Flag, rest: list[str], where: str) -> str:
    if not flag.kind:
        return "true"
    if not rest:
        raise FlagError(f"flag needs an argument: {where}")
    return rest.pop(0)


def _take(flag: Flag, text: str, said: dict[str, Value]) -> None:
    try:
        value = flag.parse(text)
    except ValueError as error:
        raise FlagError(f'invalid argument {json.dumps(text)} for "{flag.spelling}" flag: {error}') from None
    if flag.collects is list:
        said.setdefault(flag.name, []).append(value)
    elif flag.collects is dict:
        said.setdefault(flag.name, {}).update(value)
    else:
        said[flag.name] = value


def switch(text: str) -> bool:
    """A truth value as Go's strconv.ParseBool reads it. Raises ValueError."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def number(text: str) -> int:
    """A decimal number. Raises ValueError in the words of Go's strconv."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def size(text: str) -> int:
    """Bytes, such as `64m` (go-units RAMInBytes). Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    power = _UNITS.index(match.group(2).lower()) + 1 if match.group(2) else 0
    return int(float(match.group(1)) * 1024**power)


def address(text: str) -> str:
    """An IP address. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f'failed to parse IP: "{text}"') from None


def dns_server(text: str) -> str:
    """A name server's address. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"invalid string being converted to IP address: {text}") from None


def domain(text: str) -> str:
    """A DNS search domain, or `.` for none. Raises ValueError."""
    if text.strip() == ".":
        return "."
    labels = text.strip().rstrip(".").split(".")
    if len(text) > 255 or not all(
        re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", one) for one in labels
    ):
        raise ValueError(f"{text} is not a valid domain")
    return text.strip()


def label(text: str) -> str:
    """A label `key=value`. Raises ValueError."""
    if not _LABEL.fullmatch(text):
        raise ValueError(f"bad attribute format: {text}")
    return text


def pair(text: str) -> dict[str, str]:
    """One option `key=value`; a key alone has an empty value."""
    key, _, value = text.partition("=")
    return {key: value}


def ulimit(text: str) -> dict[str, tuple[int, int]]:
    """A limit `name=soft[:hard]`; the hard one is the soft one unless said. Raises ValueError."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    soft, colon, hard = values.partition(":")
    limits = (number(soft), number(hard) if colon else number(soft))
    if 0 <= limits[1] < limits[0] or (limits[0] < 0 <= limits[1]):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {limits[0]} > {limits[1]}")
    return {name: limits}


def mirror(text: str) -> str:
    """A registry mirror's URL, with a slash at its end. Raises ValueError."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"invalid mirror: no scheme specified for \"{text}\": must use either 'https://' or 'http://'")
    if scheme not in {"http", "https"}:
        raise ValueError(
            f"invalid mirror: unsupported scheme \"{scheme}\" in \"{text}\": must use either 'https://' or 'http://'"
        )
    if not rest.strip("/") or "?" in rest or "#" in rest or "@" in rest:
        raise ValueError(f'invalid mirror: "{text}" is not a plain URL of a host and a path')
    return text.rstrip("/") + "/"


def address_pool(text: str) -> tuple[str, int]:
    """`base=CIDR,size=NUMBER`. Raises ValueError."""
    fields = dict(part.strip().partition("=")[::2] for part in text.split(","))
    if set(fields) != {"base", "size"}:
        raise ValueError(f"invalid pool: {text} (it has the form base=CIDR,size=NUMBER)")
    try:
        base = ipaddress.ip_network(fields["base"])
    except ValueError as error:
        raise ValueError(f'invalid base prefix "{fields["base"]}": {error}') from None
    length = number(fields["size"])
    if not base.prefixlen <= length <= base.max_prefixlen:
        raise ValueError(f"invalid pool size {length} for {base}")
    return str(base), length
