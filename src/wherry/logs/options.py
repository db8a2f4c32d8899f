"""Log options as dockerd reads them: which there are, and the words for values that are none."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from wherry.model.errors import InvalidParameter
from wherry.model.units import parse_bytes, parse_decimal_bytes

NON_BLOCKING = "non-blocking"
ATTRIBUTE_OPTIONS = ("env", "env-regex", "labels", "labels-regex", "tag")
CACHE_OPTIONS = ("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
# Those that every driver takes (moby daemon/logger/factory.go).
COMMON_OPTIONS = ("mode", "max-buffer-size", *CACHE_OPTIONS)
UNLIMITED = "-1"
"""A size that is none: nothing is ever rotated. dockerd has this by saying nothing."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")

Value = TypeVar("Value")


def check_common(options: Mapping[str, str]) -> None:
    """What dockerd finds wrong with the options that every driver takes. Raises InvalidParameter."""
    mode = options.get("mode", "")
    if mode not in {"", "blocking", NON_BLOCKING}:
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != NON_BLOCKING:
            raise InvalidParameter(f"logger: max-buffer-size option is only supported with 'mode={NON_BLOCKING}'")
        read(options, "max-buffer-size", parse_bytes, 0, words="error parsing option max-buffer-size: {}")
    if (disabled := options.get("cache-disabled", "")) not in ("", *_TRUE, *_FALSE):
        raise InvalidParameter(f"invalid value for option cache-disabled: {disabled}")


def check_names(options: Mapping[str, str], known: Iterable[str], *, words: str) -> None:
    """Raise InvalidParameter for the first option that neither this driver nor every one knows."""
    for name in options:
        if name not in known and name not in COMMON_OPTIONS:
            raise InvalidParameter(words.format(name))


def read(
    options: Mapping[str, str], name: str, parse: Callable[[str], Value], default: Value, *, words: str = "{}"
) -> Value:
    """An option's value, the default where it is not said. Raises InvalidParameter, `words` around the reason."""
    if name not in options:
        return default
    try:
        return parse(options[name])
    except InvalidParameter as error:
        raise InvalidParameter(words.format(error)) from None


def read_said(
    options: Mapping[str, str], name: str, parse: Callable[[str], Value], default: Value, *, words: str = "{}"
) -> Value:
    """The same, where an empty value is as good as none."""
    return read(options, name, parse, default, words=words) if options.get(name) else default


def parse_bool(text: str) -> bool:
    """Go's strconv.ParseBool. Raises InvalidParameter in its words."""
    if text not in _TRUE and text not in _FALSE:
        raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def parse_int(text: str, *, function: str = "Atoi", least: int | None = None) -> int:
    """Go's strconv.Atoi, or ParseUint. Raises InvalidParameter in their words."""
    digits = text[1:] if text[:1] in ("+", "-") and function == "Atoi" else text
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidParameter(f'strconv.{function}: parsing "{text}": invalid syntax')
    number = int(text)
    if least is not None and number < least:
        raise InvalidParameter(f'strconv.{function}: parsing "{text}": value out of range')
    return number


parse_uint = partial(parse_int, function="ParseUint")


def parse_limit(text: str) -> int | None:
    """A size in bytes, None for no limit; units are powers of 1000, as dockerd reads `max-size`."""
    return None if text == UNLIMITED else parse_decimal_bytes(text)
