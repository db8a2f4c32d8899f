"""`daemon.json`: dockerd's keys, strictly: unknown ones and those also said as flags are refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wherry.api.syntax import parse
from wherry.bootstrap.flags import Flag, FlagError, Value, address_pool, number, size, switch, ulimit
from wherry.model.errors import InvalidParameter

# These stand one level deeper, in `"proxies": {…}`.
_PROXIES = ("http-proxy", "https-proxy", "no-proxy")
_KINDS: dict[type, str] = {str: "string", bool: "bool", dict: "object", list: "array"}


def read_config(path: Path, flags: Sequence[Flag], said: Mapping[str, Value], *, must_exist: bool) -> dict[str, Value]:
    """What the file says, by flag name. Raises FlagError, which begins with the file's name."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        if not must_exist:
            return {}
        raise _error(path, f"open {path}: no such file or directory") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _error(path, f"open {path}: {error}") from None
    try:
        return parse_config(text, flags, said)
    except FlagError as error:
        raise _error(path, str(error)) from None


def parse_config(text: str, flags: Sequence[Flag], said: Mapping[str, Value]) -> dict[str, Value]:
    """What a file's text says, by flag name. Raises FlagError in dockerd's words."""
    entries = _flatten(_decode(text))
    by_key = {flag.key: flag for flag in flags if flag.key}
    unknown = sorted(key for key in entries if key not in by_key)
    if unknown:
        raise FlagError(f"the following directives don't match any configuration option: {', '.join(unknown)}")
    both = sorted(key for key in entries if by_key[key].name in said)
    if both:
        told = (f"{key}: (from flag: {_go(said[by_key[key].name])}, from file: {_go(entries[key])})" for key in both)
        raise FlagError(
            "the following directives are specified both as a flag and in the configuration file: " + ", ".join(told)
        )
    return {by_key[key].name: _value(by_key[key], value) for key, value in entries.items()}


def _error(path: Path, text: str) -> FlagError:
    return FlagError(f"unable to configure the Wherry daemon with file {path}: {text}")


def _decode(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        decoded = parse(text.encode())
    except InvalidParameter as error:
        raise FlagError(str(error)) from None
    if not isinstance(decoded, dict):
        raise FlagError(f"invalid JSON: json: cannot unmarshal {_kind(decoded)} into Go value of type config.Config")
    return decoded


def _flatten(decoded: dict[str, Any]) -> dict[str, Any]:
    entries = {key: value for key, value in decoded.items() if value is not None}
    proxies = entries.pop("proxies", {})
    if not isinstance(proxies, dict):
        raise _mismatch(proxies, "proxies", "config.Proxies")
    # Only inside of `proxies`: dockerd knows these keys nowhere else.
    stray = sorted(set(entries) & set(_PROXIES)) + sorted(set(proxies) - set(_PROXIES))
    if stray:
        raise FlagError(f"the following directives don't match any configuration option: {', '.join(stray)}")
    return entries | proxies


def _value(flag: Flag, value: Any) -> Value:  # noqa: ANN401 - whatever stands in the file
    if flag.hidden:
        return value
    if flag.name == "default-address-pool":
        return [_pool(item) for item in _exact(flag.key, value, list, "[]*ipamutils.NetworkToSplit")]
    if flag.name == "default-ulimit":
        return _ulimits(flag.key, value)
    if flag.collects is dict:
        return _strings(flag.key, value)
    if flag.collects is list:
        return [_parsed(flag, item) for item in _words(flag.key, value)]
    return _single(flag, value)


def _single(flag: Flag, value: Any) -> Value:  # noqa: ANN401
    if flag.parse is switch:
        return _exact(flag.key, value, bool, "bool")
    if flag.parse is number or (flag.parse is size and isinstance(value, int)):
        return _exact(flag.key, value, int, "int")
    return _parsed(flag, _exact(flag.key, value, str, "string"))


def _parsed(flag: Flag, text: str) -> Value:
    try:
        return flag.parse(text)
    except ValueError as error:
        raise FlagError(f"invalid value for {flag.key}: {error}") from None


def _words(key: str, value: Any) -> list[str]:  # noqa: ANN401
    items = _exact(key, value, list, "[]string")
    return [_exact(f"{key}.{index}", item, str, "string") for index, item in enumerate(items)]


def _strings(key: str, value: Any) -> dict[str, str]:  # noqa: ANN401
    items = _exact(key, value, dict, "map[string]string")
    return {name: _exact(f"{key}.{name}", item, str, "string") for name, item in items.items()}


def _ulimits(key: str, value: Any) -> dict[str, tuple[int, int]]:  # noqa: ANN401
    """Objects with Name, Soft and Hard, as the API has them."""
    limits: dict[str, tuple[int, int]] = {}
    for name, entry in _exact(key, value, dict, "map[string]*units.Ulimit").items():
        fields = {field.lower(): item for field, item in _exact(f"{key}.{name}", entry, dict, "units.Ulimit").items()}
        soft, hard = (
            _exact(f"{key}.{name}.{part}", fields.get(part.lower(), 0), int, "int64") for part in ("Soft", "Hard")
        )
        limits |= ulimit(f"{name}={soft}:{hard}")
    return limits


def _pool(item: Any) -> tuple[str, int]:  # noqa: ANN401
    fields = _exact("default-address-pools", item, dict, "ipamutils.NetworkToSplit")
    try:
        return address_pool(f"base={fields.get('base', '')},size={fields.get('size', '')}")
    except ValueError as error:
        raise FlagError(f"invalid value for default-address-pools: {error}") from None


def _exact(key: str, value: Any, kind: type, go_type: str) -> Any:  # noqa: ANN401
    if type(value) is not kind:
        raise _mismatch(value, key, go_type)
    return value


def _mismatch(value: Any, key: str, go_type: str) -> FlagError:  # noqa: ANN401
    return FlagError(
        f"invalid JSON: json: cannot unmarshal {_kind(value)} into Go struct field Config.{key} of type {go_type}"
    )


def _kind(value: Any) -> str:  # noqa: ANN401
    return _KINDS.get(type(value), "number")


def _go(value: Any) -> str:  # noqa: ANN401
    """A value as Go prints it in messages."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{' '.join(map(_go, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{_go(item)}' for key, item in sorted(value.items()))}]"
        case _:
            return str(value)
