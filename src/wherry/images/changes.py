"""Changes to an image's configuration as `import --change` and `commit --change` take them: lines of a Dockerfile."""

import posixpath
import re
import signal
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from wherry.images.words import expand, split_words
from wherry.model.config import Config, Healthcheck
from wherry.model.errors import InvalidParameter

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_REAL_TIME = re.compile(r"SIGRTM(?:IN(?:\+([0-9]{1,2}))?|AX(?:-([0-9]{1,2}))?)")
PORT_MAX = 65535
PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
# SIGRTMIN is 34 and SIGRTMAX 64.
REAL_TIME_MAX = 30
NANOSECONDS_MIN = 10**6
# An empty command takes back the one before it.
MAY_BE_EMPTY = frozenset({"CMD", "ENTRYPOINT"})
TAKES_ONE = frozenset({"STOPSIGNAL", "USER", "WORKDIR"})
_HEALTH_OPTIONS = {
    "interval": "interval",
    "timeout": "timeout",
    "start-period": "start_period",
    "start-interval": "start_interval",
    "retries": "retries",
}
SHELL = ("/bin/sh", "-c")

Change = Callable[[Config, str], dict[str, Any]]


def apply_changes(config: Config, changes: Iterable[str]) -> Config:
    """The configuration after all lines. Raises InvalidParameter, in dockerd's words."""
    changes = tuple(changes)
    lines = tuple(_lines(changes))
    if changes and not lines:
        raise InvalidParameter("file with no instructions")
    for line in lines:
        word, _, rest = line.partition(" ")
        change = CHANGES.get(word.upper())
        if change is None:
            raise InvalidParameter(f"{word} is not a valid change command")
        if not rest.strip() and word.upper() not in MAY_BE_EMPTY:
            count = "exactly" if word.upper() in TAKES_ONE else "at least"
            raise InvalidParameter(f"{word.upper()} requires {count} one argument")
        config = msgspec.structs.replace(config, **change(config, rest.strip()))
    return config


def _lines(changes: Iterable[str]) -> Iterable[str]:
    """One instruction each: continued lines joined, comments and empty lines left out."""
    pending = ""
    for line in "\n".join(changes).splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        pending += text.removesuffix("\\")
        if not text.endswith("\\"):
            yield pending.replace("\t", " ")
            pending = ""
    if pending:
        yield pending


def _json_form(text: str) -> tuple[str, ...] | None:
    """The words of `["a", "b"]`; None when it is not that form, and so the shell's."""
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _variables(config: Config) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in config.env or ())


def _command(config: Config, text: str) -> tuple[str, ...] | None:
    words = _json_form(text)
    shell = (*(config.shell or SHELL), text) if text else None
    return words if words is not None else shell


def _cmd(config: Config, text: str) -> dict[str, Any]:
    return {"cmd": _command(config, text)}


def _entrypoint(config: Config, text: str) -> dict[str, Any]:
    # A new entrypoint forgets the command of the image beneath (dockerfile.dispatch Entrypoint).
    return {"entrypoint": _command(config, text), "cmd": None}


def _env(config: Config, text: str) -> dict[str, Any]:
    kept = {**_variables(config), **_pairs("ENV", config, text)}
    return {"env": tuple(f"{key}={value}" for key, value in kept.items())}


def _label(config: Config, text: str) -> dict[str, Any]:
    return {"labels": {**(config.labels or {}), **_pairs("LABEL", config, text)}}


def _pairs(word: str, config: Config, text: str) -> dict[str, str]:
    """`a=1 b="2 3"`, or the old form `a 1 2`. All values see the environment from before the line."""
    variables = _variables(config)
    words = list(split_words(text))
    if "=" not in words[0]:
        if len(words) == 1:
            raise InvalidParameter(f"{word} must have two arguments")
        return {words[0]: expand(text.removeprefix(words[0]).strip(), variables)}
    pairs = {}
    for each in words:
        key, equals, value = each.partition("=")
        if not equals:
            raise InvalidParameter(f'Syntax error - can\'t find = in "{each}". Must be of the form: name=value')
        if not key:
            raise InvalidParameter(f"{word} names can not be blank")
        pairs[expand(key, variables)] = expand(value, variables)
    return pairs


def _expose(config: Config, text: str) -> dict[str, Any]:
    variables = _variables(config)
    ports = dict(config.exposed_ports or {})
    for word in split_words(text):
        for port in expand(word, variables).split():
            ports |= _ports(port)
    return {"exposed_ports": ports}


def _ports(text: str) -> dict[str, dict[str, Any]]:
    span, _, protocol = text.partition("/")
    if (protocol or "tcp").lower() not in PROTOCOLS:
        raise InvalidParameter(f"Invalid proto: {protocol}")
    found = _PORTS.fullmatch(span)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last <= PORT_MAX:
        raise InvalidParameter(f"Invalid containerPort: {span}")
    return {f"{port}/{(protocol or 'tcp').lower()}": {} for port in range(first, last + 1)}


def _on_build(config: Config, text: str) -> dict[str, Any]:
    word = text.partition(" ")[0].upper()
    if word == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in {"MAINTAINER", "FROM"}:
        raise InvalidParameter(f"{word} isn't allowed as an ONBUILD trigger")
    return {"on_build": (*(config.on_build or ()), text)}


def _stop_signal(config: Config, text: str) -> dict[str, Any]:
    name = expand(text, _variables(config))
    if not (name.isdecimal() and 0 < int(name) <= signal.SIGRTMAX) and not _is_signal(name):
        raise InvalidParameter(f"invalid signal: {name}")
    return {"stop_signal": name}


def _is_signal(name: str) -> bool:
    word = "SIG" + name.upper().removeprefix("SIG")
    if real_time := _REAL_TIME.fullmatch(word):
        return int(real_time[1] or real_time[2] or 0) <= REAL_TIME_MAX
    return word in signal.Signals.__members__


def _user(config: Config, text: str) -> dict[str, Any]:
    return {"user": expand(text, _variables(config))}


def _volume(config: Config, text: str) -> dict[str, Any]:
    variables = _variables(config)
    paths = [expand(word, variables) for word in _json_form(text) or split_words(text)]
    if not all(path.strip() for path in paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    return {"volumes": {**(config.volumes or {}), **{path: {} for path in paths}}}


def _workdir(config: Config, text: str) -> dict[str, Any]:
    path = expand(text, _variables(config))
    if not path:
        raise InvalidParameter("cannot normalize nothing")
    return {"working_dir": posixpath.normpath(posixpath.join("/", config.working_dir, path))}


def _healthcheck(_config: Config, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    rest = text
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        options |= _health_option(*option[2:].partition("=")[::2])
        rest = rest.lstrip()
    word, _, command = rest.partition(" ")
    match word.upper():
        case "NONE" if command.strip():
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        case "NONE":
            return {"healthcheck": Healthcheck(test=("NONE",))}
        case "CMD" if command.strip():
            words = _json_form(command.strip())
            test = ("CMD", *words) if words is not None else ("CMD-SHELL", command.strip())
            return {"healthcheck": Healthcheck(test=test, **options)}
        case "CMD":
            raise InvalidParameter("Missing command after HEALTHCHECK CMD")
        case _:
            raise InvalidParameter(f'Unknown type "{word.upper()}" in HEALTHCHECK (try CMD)')


def _health_option(key: str, value: str) -> dict[str, int]:
    if key not in _HEALTH_OPTIONS:
        raise InvalidParameter(f"unknown flag: --{key}")
    if key == "retries":
        return {"retries": _count(value)}
    duration = _duration_ns(value)
    if 0 < duration < NANOSECONDS_MIN:
        raise InvalidParameter(f'Interval "{key}" cannot be less than 1ms')
    return {_HEALTH_OPTIONS[key]: duration}


def _count(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise InvalidParameter(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise InvalidParameter(f"--retries cannot be negative ({int(text)})")
    return int(text)


def _duration_ns(text: str) -> int:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidParameter(f'time: invalid duration "{text}"')
    return int(sum(float(number) * _UNITS_NS[unit] for number, unit in parts))


CHANGES: dict[str, Change] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
