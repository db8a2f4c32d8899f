"""A template's text as tokens: text between actions, and the words inside them."""

from __future__ import annotations

from wherry.gotemplate.errors import TemplateError

SPACES = " \t\r\n"
WORD_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
WORD = WORD_START | frozenset("0123456789")
NUMBER = frozenset("0123456789abcdefABCDEFxXoO._+-")
SIGNS = (":=", "=", "|", "(", ")", ",", ".")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


class Token:
    """`kind` is text, word, field, variable, string, number, char, space, open, close or a sign such as `|`."""

    __slots__ = ("at", "kind", "text", "value")

    def __init__(self, kind: str, text: str, at: int, value: object = None) -> None:
        self.kind = kind
        self.text = text
        self.at = at
        self.value = value


def tokens(text: str, fail: str) -> list[Token]:
    """All tokens of `text`; `fail` begins error messages."""
    found: list[Token] = []
    at = 0
    while True:
        start = text.find("{{", at)
        literal = text[at:] if start < 0 else text[at:start]
        if start >= 0 and text.startswith("{{-", start) and text[start + 3 : start + 4] in tuple(SPACES):
            literal = literal.rstrip(SPACES)
        if literal:
            found.append(Token("text", literal, at))
        if start < 0:
            return found
        at = _action(text, start, found, fail)


def _action(text: str, start: int, found: list[Token], fail: str) -> int:
    """Add the tokens of the action at `start`; the index where text goes on."""
    at = start + 2
    if text.startswith("-", at) and text[at + 1 : at + 2] in tuple(SPACES):
        at += 1
    body = at + len(text[at:]) - len(text[at:].lstrip(SPACES))
    if text.startswith("/*", body):
        at = text.find("*/", body)
        if at < 0:
            raise TemplateError(f"{fail}: unclosed comment")
        at += 2
    else:
        found.append(Token("open", "{{", start))
    while True:
        trimmed = _close(text, at)
        if trimmed is not None:
            if found and found[-1].kind != "text":
                found.append(Token("close", "}}", at))
            return trimmed
        if at >= len(text):
            raise TemplateError(f"{fail}: unclosed action")
        token = _token(text, at, fail)
        found.append(token)
        at += len(token.text)


def _close(text: str, at: int) -> int | None:
    if text.startswith("}}", at):
        return at + 2
    if text[at : at + 1] in tuple(SPACES) and text.startswith("-}}", at + 1):
        end = at + 4
        return end + len(text[end:]) - len(text[end:].lstrip(SPACES))
    return None


def _token(text: str, at: int, fail: str) -> Token:
    letter = text[at]
    following = text[at + 1 : at + 2]
    if letter in SPACES:
        return _space(text, at)
    if letter in "\"'":
        return _quoted(text, at, fail)
    if letter == "`":
        return _raw_string(text, at, fail)
    if letter in WORD_START:
        return Token("word", _while(text, at, WORD), at)
    if letter == "$" or (letter == "." and following in WORD_START):
        kind = "variable" if letter == "$" else "field"
        return Token(kind, letter + _while(text, at + 1, WORD), at)
    if letter.isdigit() or (letter in "+-." and following.isdigit()):
        return _number(text, at, fail)
    sign = next((sign for sign in SIGNS if text.startswith(sign, at)), "")
    if not sign:
        raise TemplateError(f"{fail}: unexpected {letter!r} in command")
    return Token("dot" if sign == "." else sign, sign, at)


def _space(text: str, at: int) -> Token:
    end = at
    while text[end : end + 1] in tuple(SPACES) and _close(text, end) is None:
        end += 1
    return Token("space", text[at:end], at)


def _raw_string(text: str, at: int, fail: str) -> Token:
    end = text.find("`", at + 1)
    if end < 0:
        raise TemplateError(f"{fail}: unterminated raw quoted string")
    return Token("string", text[at : end + 1], at, text[at + 1 : end])


def _while(text: str, at: int, letters: frozenset[str]) -> str:
    end = at
    while text[end : end + 1] in letters:
        end += 1
    return text[at:end]


def _number(text: str, at: int, fail: str) -> Token:
    written = text[at] + _while(text, at + 1, NUMBER)
    try:
        value: object = int(written, 0)
    except ValueError:
        try:
            value = float(written)
        except ValueError:
            raise TemplateError(f"{fail}: bad number syntax: {written!r}") from None
    return Token("number", written, at, value)


def _quoted(text: str, at: int, fail: str) -> Token:
    quote = text[at]
    letters: list[str] = []
    end = at + 1
    while end < len(text) and text[end] != "\n":
        letter = text[end]
        if letter == quote:
            written = text[at : end + 1]
            if quote == '"':
                return Token("string", written, at, "".join(letters))
            return Token("number", written, at, ord("".join(letters) or "\0"))
        if letter == "\\":
            letter, length = _escape(text, end + 1, fail)
            end += length
        letters.append(letter)
        end += 1
    raise TemplateError(f"{fail}: unterminated {'quoted string' if quote == chr(34) else 'character constant'}")


def _escape(text: str, at: int, fail: str) -> tuple[str, int]:
    """The letter that the escape at `at` means, and the length of the escape without its backslash."""
    letter = text[at : at + 1]
    if letter in ESCAPES:
        return ESCAPES[letter], 1
    digits = {"x": 2, "u": 4, "U": 8}.get(letter, 0)
    try:
        return chr(int(text[at + 1 : at + 1 + digits], 16)), 1 + digits
    except ValueError:
        raise TemplateError(f"{fail}: invalid syntax") from None
