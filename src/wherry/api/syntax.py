"""JSON text to Python values, refused in the words of Go's decoder."""

import json
from typing import Any, NoReturn, Self

from wherry.model.errors import InvalidParameter

# Go's encoding/json refuses deeper nesting; Python's parser gives up earlier, by the interpreter's own limit.
TOO_DEEP = "invalid JSON: exceeded max depth"

# Longer integers fit no field; Python refuses to convert those of more than 4300 digits at all.
DIGITS_MAX = 40

# A decoded value: what stands inside lists and objects is again one of these.
Json = str | int | float | bool | list[Any] | dict[str, Any] | None

_LITERALS = {"t": "true", "f": "false", "n": "null"}
_WHITESPACE = " \t\r\n"
_ESCAPED_DIGITS = 6


class Number(float):
    """A number that was not written as a plain integer, with its spelling."""

    literal: str

    def __new__(cls, literal: str) -> Self:
        """Keep the spelling for messages."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number


def parse(data: bytes) -> Json:
    """Decode one JSON value; bytes that are not UTF-8 become U+FFFD as in Go. Raises InvalidParameter."""
    text = data.decode("utf-8", "replace")
    start = len(text) - len(text.lstrip(_WHITESPACE))
    if start == len(text):
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    try:
        value, end = _DECODER.raw_decode(text, start)
        value = _without_surrogates(value) if "\\ud" in text or "\\uD" in text else value
    except json.JSONDecodeError as error:
        raise InvalidParameter(f"invalid JSON: {_go_words(error, text)}") from None
    except RecursionError:
        raise InvalidParameter(TOO_DEEP) from None
    if text[end:].strip(_WHITESPACE):
        raise InvalidParameter("unexpected content after JSON")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidParameter(f"invalid JSON: invalid character '{name[0]}' looking for beginning of value")


def _integer(literal: str) -> int | Number:
    return int(literal) if len(literal) <= DIGITS_MAX else Number(literal)


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_refuse_constant)


def _go_words(error: json.JSONDecodeError, text: str) -> str:
    position = min(error.pos, len(text))
    if error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    if error.msg.startswith("Invalid control"):
        return f"invalid character {_go_character(text[position])} in string"
    if error.msg.startswith("Invalid \\"):
        return _bad_escape(text, position)
    rest = text[position:].lstrip(_WHITESPACE)
    if not rest:
        return "unexpected EOF"
    if error.msg.startswith("Expecting value"):
        return _bad_value(rest)
    if "name" in error.msg:
        rest = rest[1:].lstrip(_WHITESPACE) if rest[0] == "," else rest
        return _unexpected(rest, "looking for beginning of object key string")
    if "':'" in error.msg:
        return _unexpected(rest, "after object key")
    inside = "array element" if _is_in_array(text, position) else "object key:value pair"
    return _bad_number(text, position) or _unexpected(rest, f"after {inside}")


def _bad_value(rest: str) -> str:
    literal = _LITERALS.get(rest[0])
    if literal is not None:
        return _bad_literal(rest, literal)
    if rest[0] == "-":
        return _unexpected(rest[1:], "in numeric literal")
    return _unexpected(rest, "looking for beginning of value")


def _bad_literal(rest: str, literal: str) -> str:
    wrong = next((index for index, wanted in enumerate(literal) if rest[index : index + 1] != wanted), 0)
    return _unexpected(rest[wrong:], f"in literal {literal} (expecting '{literal[wrong]}')")


def _bad_number(text: str, position: int) -> str:
    # Python reads `1.` as 1 and stops at the point.
    if text[position] in ".eE" and text[position - 1].isdecimal():
        return _unexpected(text[position + 1 :], "in numeric literal")
    return ""


def _bad_escape(text: str, position: int) -> str:
    start = text.rindex("\\", 0, position + 1)
    if text[start + 1 : start + 2] != "u":
        return f"invalid escape sequence `{text[start : start + 2]}` in string"
    return f"invalid escape sequence `{text[start : start + _ESCAPED_DIGITS]}` in string"


def _unexpected(rest: str, where: str) -> str:
    return f"invalid character {_go_character(rest[0])} {where}" if rest else "unexpected EOF"


def _go_character(character: str) -> str:
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    if character.isprintable():
        return f"'{character}'"
    code = ord(character)
    return {"\n": r"'\n'", "\t": r"'\t'", "\r": r"'\r'"}.get(
        character, f"'\\x{code:02x}'" if code < 0x80 else f"'\\u{code:04x}'"
    )


def _is_in_array(text: str, position: int) -> bool:
    """Whether the innermost open bracket before `position` is a square one."""
    open_brackets: list[str] = []
    index = 0
    while index < position:
        character = text[index]
        if character == '"':
            index = _end_of_string(text, index)
        elif character in "[{":
            open_brackets.append(character)
        elif character in "]}":
            open_brackets.pop()
        index += 1
    return open_brackets[-1:] == ["["]


def _end_of_string(text: str, start: int) -> int:
    index = start + 1
    while text[index] != '"':
        index += 2 if text[index] == "\\" else 1
    return index


def _without_surrogates(value: Json) -> Json:
    """Lone surrogates as U+FFFD, as Go decodes them: they could not be encoded again."""
    if isinstance(value, str):
        return _replace_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _replace_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
