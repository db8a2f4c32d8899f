"""The functions that templates may call: Go's own, and those docker adds."""

from __future__ import annotations

from wherry.gotemplate.nodes import Row
from wherry.gotemplate.values import shown, truth, type_name
from wherry.jsontext import encode, encode_html

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PRINTF_WIDTH_MAX = 1000


def json_of(value: Any) -> str:
    """`value` as JSON; a row as the object of all its columns, with HTML's signs escaped as docker's rows are."""
    return encode_html(value.as_map()) if isinstance(value, Row) else encode(value)


def join(items: Any, separator: str) -> str:
    """The items with `separator` between them; docker's argument order is the pipe's."""
    if not isinstance(items, (list, tuple)):
        raise TypeError
    return separator.join([shown(item) for item in items])


def split(text: str, separator: str) -> list[str]:
    """Go's strings.Split."""
    return text.split(separator) if separator else list(text)


def title(text: str) -> str:
    """Go's strings.Title: each word's first letter large, the others as they are."""
    words = text.split(" ")
    return " ".join([word[:1].upper() + word[1:] for word in words])


def pad(text: str, before: int, after: int) -> str:
    """Spaces before and after; an empty text stays empty."""
    return " " * before + text + " " * after if text else text


def truncate(text: str, length: int) -> str:
    """The first `length` letters."""
    return text[:length]


def index(value: Any, *keys: Any) -> Any:
    """Go's index: of maps the zero value for a missing key, of lists an error outside."""
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value[key] if key in value else _zero_of(value)
    if value is None:
        raise ValueError("index of untyped nil")
    if not isinstance(value, (list, tuple, str)):
        raise ValueError(f"can't index item of type {type_name(value)}")  # noqa: TRY004 - reported as Go's message
    if type(key) is not int:
        raise ValueError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(value):
        raise ValueError("reflect: slice index out of range")
    return ord(value[key]) if isinstance(value, str) else value[key]


def _zero_of(value: dict[str, Any]) -> Any:
    """What a map gives for a missing key: of texts the empty one, else nothing."""
    return "" if all(isinstance(item, str) for item in value.values()) else None


def slice_of(value: Any, *bounds: int) -> Any:
    """Go's slice: value[a:b], errors outside."""
    low, high = (bounds[0] if bounds else 0), (bounds[1] if len(bounds) > 1 else len(value))
    if not 0 <= low <= high <= len(value):
        raise ValueError(f"index out of range: {high}")
    return value[low:high]


def length(value: Any) -> int:
    """Go's len; of text the number of bytes."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise ValueError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def equal(first: Any, *others: Any) -> bool:
    """True if the first equals any of the others."""
    if not others:
        raise ValueError("missing argument for comparison")
    return any(_comparable(first, other) and first == other for other in others)


def _comparable(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return True
    number = (int, float)
    same = type(first) is type(second) or (
        isinstance(first, number) and isinstance(second, number) and not isinstance(first, bool)
    )
    if not same:
        raise ValueError("incompatible types for comparison")
    return True


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(first: Any, second: Any) -> bool:
        if first is None or second is None or isinstance(first, (list, dict, bool)):
            raise ValueError("invalid type for comparison")
        _comparable(first, second)
        return test(first, second)

    return compare


def print_(*values: Any) -> str:
    """Go's Sprint: spaces only between neighbours of which none is text."""
    text = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            text += " "
        text += shown(value)
    return text


def println(*values: Any) -> str:
    """Go's Sprintln."""
    return " ".join([shown(value) for value in values]) + "\n"


def printf(form: str, *values: Any) -> str:
    """Go's Sprintf with the verbs v s q d t f e g x X o b c U T and flags, width and precision."""
    out: list[str] = []
    left = list(values)
    at = 0
    while at < len(form):
        if form[at] != "%":
            out.append(form[at])
            at += 1
            continue
        start = at + 1
        at = start
        while at < len(form) and form[at] in "+-# 0123456789.":
            at += 1
        verb = form[at : at + 1]
        modifiers = form[start:at]
        at += 1
        if verb == "%":
            out.append("%")
        elif not verb:
            out.append("%!(NOVERB)")
        elif not left:
            out.append(f"%!{verb}(MISSING)")
        else:
            out.append(_formatted(verb, modifiers, left.pop(0)))
    if left:
        out.append("%!(EXTRA " + ", ".join([f"{type_name(value)}={shown(value)}" for value in left]) + ")")
    return "".join(out)


def _formatted(verb: str, modifiers: str, value: Any) -> str:
    flags = modifiers[: len(modifiers) - len(modifiers.lstrip("+-# 0"))]
    width, _, precision = modifiers[len(flags) :].partition(".")
    if len(width) > 4 or int(width or 0) > PRINTF_WIDTH_MAX or len(precision) > 4:
        raise ValueError("width or precision too large")
    text = _verb(verb, value, flags, precision)
    if "-" in flags:
        return text.ljust(int(width or 0))
    if "0" in flags and isinstance(value, (int, float)):
        return text.zfill(int(width or 0))
    return text.rjust(int(width or 0))


def _verb(verb: str, value: Any, flags: str, precision: str) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if verb in ("v", "s"):
        text = shown(value) if verb == "v" or not number else f"%!s({type_name(value)}={shown(value)})"
        return text[: int(precision)] if precision and isinstance(value, str) else text
    if verb == "q":
        return encode(shown(value))
    if verb == "t" and isinstance(value, bool):
        return shown(value)
    if verb == "T":
        return type_name(value)
    if verb in "dxXob" and isinstance(value, int) and not isinstance(value, bool):
        return format(value, ("+" if "+" in flags else "") + ("#" if "#" in flags else "") + verb)
    if verb in "xX" and isinstance(value, str):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if verb in "feEgG" and isinstance(value, float):
        return format(value, ("+" if "+" in flags else "") + (f".{precision}" if precision else "") + verb)
    if verb in "cU" and isinstance(value, int):
        return chr(value) if verb == "c" else f"U+{value:04X}"
    return f"%!{verb}({type_name(value)}={shown(value)})"


def html(*values: Any) -> str:
    """Text with HTML's five signs escaped as Go does."""
    signs = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
    return "".join([signs.get(letter, letter) for letter in print_(*values)])


def urlquery(*values: Any) -> str:
    """Text as a query's value."""
    from urllib.parse import quote_plus

    return quote_plus(print_(*values), safe="")


def js(*values: Any) -> str:
    """Text escaped for a JavaScript string."""
    return encode_html(print_(*values))[1:-1].replace("'", "\\'").replace("=", "\\u003D")


def not_(value: Any) -> bool:
    """True for zero values."""
    return not truth(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: values[-1],  # with `or` evaluated by the command itself, which stops early
    "or": lambda *values: values[-1],
    "not": not_,
    "len": length,
    "index": index,
    "slice": slice_of,
    "eq": equal,
    "ne": lambda first, second: not equal(first, second),
    "lt": _ordered(lambda first, second: first < second),
    "le": _ordered(lambda first, second: first <= second),
    "gt": _ordered(lambda first, second: first > second),
    "ge": _ordered(lambda first, second: first >= second),
    "print": print_,
    "printf": printf,
    "println": println,
    "html": html,
    "js": js,
    "urlquery": urlquery,
    "json": json_of,
    "join": join,
    "split": split,
    "title": title,
    "lower": str.lower,
    "upper": str.upper,
    "pad": pad,
    "truncate": truncate,
}
