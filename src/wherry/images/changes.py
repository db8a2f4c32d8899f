"""Changes to an image's configuration as `import --change` and `commit --change` take them: lines of a Dockerfile."""

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from wherry.model.config import Config, Healthcheck
from wherry.model.errors import InvalidParameter

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
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
    for line in _lines(changes):
        word, _, rest = line.partition(" ")
        change = CHANGES.get(word.upper())
        if change is None:
            raise InvalidParameter(f"{word} is not a valid change command")
        if not rest.strip():
            raise InvalidParameter(f"{word.upper()} requires at least one argument")
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


def _command(config: Config, text: str) -> tuple[str, ...]:
    words = _json_form(text)
    return words if words is not None else (*(config.shell or SHELL), text)


def _cmd(config: Config, text: str) -> dict[str, Any]:
    return {"cmd": _command(config, text)}


def _entrypoint(config: Config, text: str) -> dict[str, Any]:
    # A new entrypoint forgets the command of the image beneath (dockerfile.dispatch Entrypoint).
    return {"entrypoint": _command(config, text), "cmd": None}


def _env(config: Config, text: str) -> dict[str, Any]:
    kept = dict(entry.partition("=")[::2] for entry in config.env or ())
    return {"env": tuple(f"{key}={value}" for key, value in {**kept, **_pairs("ENV", text)}.items())}


def _label(config: Config, text: str) -> dict[str, Any]:
    return {"labels": {**(config.labels or {}), **_pairs("LABEL", text)}}


def _pairs(word: str, text: str) -> dict[str, str]:
    """`a=1 b="2 3"`, or the old form `a 1 2`."""
    first = text.split(" ", 1)[0]
    if "=" not in first:
        key, _, value = text.partition(" ")
        if not value:
            raise InvalidParameter(f"{word} must have two arguments")
        return {key: value.strip()}
    pairs = {}
    for each in _words(text):
        key, equals, value = each.partition("=")
        if not equals:
            raise InvalidParameter(f'Syntax error - can\'t find = in "{each}". Must be of the form: name=value')
        if not key:
            raise InvalidParameter(f"{word} names can not be blank")
        pairs[key] = value
    return pairs


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=True)
    except ValueError as error:
        raise InvalidParameter(f"unexpected end of statement: {error}") from None


def _expose(config: Config, text: str) -> dict[str, Any]:
    ports = dict(config.exposed_ports or {})
    for word in _words(text):
        found = _PORT.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if found is None or not 0 < first <= last <= 65535:
            raise InvalidParameter(f"Invalid containerPort: {word}")
        ports |= {f"{port}/{(found[3] or 'tcp').lower()}": {} for port in range(first, last + 1)}
    return {"exposed_ports": ports}


def _on_build(config: Config, text: str) -> dict[str, Any]:
    word = text.partition(" ")[0].upper()
    if word == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in {"MAINTAINER", "FROM"}:
        raise InvalidParameter(f"{word} isn't allowed as an ONBUILD trigger")
    return {"on_build": (*(config.on_build or ()), text)}


def _stop_signal(_config: Config, text: str) -> dict[str, Any]:
    return {"stop_signal": text}


def _user(_config: Config, text: str) -> dict[str, Any]:
    return {"user": text}


def _volume(config: Config, text: str) -> dict[str, Any]:
    paths = _json_form(text) or tuple(_words(text))
    if not all(path.strip() for path in paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    return {"volumes": {**(config.volumes or {}), **{path: {} for path in paths}}}


def _workdir(config: Config, text: str) -> dict[str, Any]:
    return {"working_dir": text if text.startswith("/") else f"{config.working_dir.rstrip('/')}/{text}"}


def _healthcheck(_config: Config, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    rest = text
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        key, _, value = option[2:].partition("=")
        if key not in _HEALTH_OPTIONS:
            raise InvalidParameter(f"unknown flag: {key}")
        options[_HEALTH_OPTIONS[key]] = _count(value) if key == "retries" else _duration_ns(value)
        rest = rest.lstrip()
    word, _, command = rest.partition(" ")
    match word.upper():
        case "NONE":
            return {"healthcheck": Healthcheck(test=("NONE",))}
        case "CMD" if command.strip():
            words = _json_form(command.strip())
            test = ("CMD", *words) if words is not None else ("CMD-SHELL", command.strip())
            return {"healthcheck": Healthcheck(test=test, **options)}
        case _:
            raise InvalidParameter(f'Unknown type "{word.upper()}" in HEALTHCHECK (try CMD)')


def _count(text: str) -> int:
    if not text.isdecimal():
        raise InvalidParameter(f'strconv.ParseInt: parsing "{text}": invalid syntax')
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
