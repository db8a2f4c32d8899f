"""JSON to and from bytes by the interpreter's own scanner, without importing `json`.

`import json` pulls in `re` and costs 5 ms, a third of what `wherry ps` takes. The C scanner and encoder behind it
(CPython's `_json`) need neither. Where they are missing or changed, `json` itself does the work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WHITESPACE = " \t\r\n"


class _Reading:
    """The settings that `_json.make_scanner` reads from the decoder that owns it."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner wants the attribute, nobody fills it


def _make_scan() -> Callable[[str, int], tuple[Any, int]]:
    try:
        import _json

        make_scanner: Any = _json.make_scanner
        scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Reading)
        if scan('{"a": [1, null]}', 0) == ({"a": [1, None]}, 16):
            return scan
    except (ImportError, AttributeError, TypeError):
        pass
    import json

    return json.JSONDecoder(strict=False).raw_decode


def _make_quote() -> Callable[[str], str]:
    try:
        from _json import encode_basestring
    except ImportError:
        from json.encoder import encode_basestring
    quote: Callable[[str], str] = encode_basestring
    return quote


_scan = _make_scan()
_quote = _make_quote()


def decode(data: bytes | str) -> Any:
    """The one JSON value in `data`; ValueError with a place where there is none or more than one."""
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    start = len(text) - len(text.lstrip(WHITESPACE))
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    if text[end:].strip(WHITESPACE):
        raise ValueError(f"more after the JSON value, at character {end}")
    return value


def encode(value: Any) -> str:
    """`value` as compact JSON, letters of all languages as they are.

    Raises TypeError for what JSON cannot hold.
    """
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quote(str(key))}:{encode(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON form")


# What Go's encoder escapes besides what JSON demands, so that the text may stand inside HTML and JavaScript.
_HTML = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def encode_html(value: Any) -> str:
    """`value` as Go's `json.Marshal` writes it: `<`, `>`, `&` and two line separators escaped."""
    return encode(value).translate(_HTML)


def indent(text: str, unit: str = "    ", first: str = "") -> str:
    """`text`, which is JSON, laid out over lines as Go's `json.Indent` does; values keep their spelling."""
    pieces: list[str] = []
    depth = 0
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == '"':
            end = _string_end(text, at)
            pieces.append(text[at:end])
            at = end
            continue
        at += 1
        if letter in WHITESPACE:
            continue
        if letter in "{[":
            closing = _next_letter(text, at)
            if text[closing : closing + 1] in ("}", "]"):
                pieces.append(letter + text[closing])
                at = closing + 1
                continue
            depth += 1
            pieces.append(letter + "\n" + first + unit * depth)
        elif letter in "}]":
            depth -= 1
            pieces.append("\n" + first + unit * depth + letter)
        elif letter == ",":
            pieces.append(",\n" + first + unit * depth)
        else:
            pieces.append(": " if letter == ":" else letter)
    return "".join(pieces)


def compact(text: str) -> str:
    """`text`, which is JSON, without space between its values; they keep their spelling."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        end = _string_end(text, at) if text[at] == '"' else at + 1
        if text[at] not in WHITESPACE:
            pieces.append(text[at:end])
        at = end
    return "".join(pieces)


def _string_end(text: str, start: int) -> int:
    """The index after the string that opens at `start`."""
    at = start + 1
    while True:
        at = text.index('"', at)
        slashes = at - 1
        while text[slashes] == "\\":
            slashes -= 1
        if (at - slashes) % 2:
            return at + 1
        at += 1


def _next_letter(text: str, at: int) -> int:
    while at < len(text) and text[at] in WHITESPACE:
        at += 1
    return at
