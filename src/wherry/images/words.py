"""Words of a Dockerfile line: quotes, escapes and variables as BuildKit's shell lexer has them."""

import re
from collections.abc import Iterator, Mapping

from wherry.model.errors import InvalidParameter

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_ESCAPABLE_IN_QUOTES = '"$\\'


def split_words(text: str) -> Iterator[str]:
    """The words of a line, quotes and escapes still in them."""
    word, quote, is_escaped = "", "", False
    for character in text:
        if is_escaped:
            is_escaped = False
        elif character == "\\" and quote != "'":
            is_escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character.isspace():
            if word:
                yield word
            word = ""
            continue
        word += character
    if word:
        yield word


def expand(word: str, variables: Mapping[str, str]) -> str:
    """A word without its quotes and escapes, variables replaced. Raises InvalidParameter."""
    try:
        return _Expansion(word, variables).until("")
    except _Unfinished as error:
        quoted = word.replace('"', '\\"')
        raise InvalidParameter(f'failed to process "{quoted}": {error}') from None


class _Unfinished(Exception):
    """A quote or a brace that nobody closes, or a substitution that does not exist."""


class _Expansion:
    """One word being read from left to right."""

    def __init__(self, word: str, variables: Mapping[str, str]) -> None:
        self._word = word
        self._at = 0
        self._variables = variables

    def until(self, end: str) -> str:
        """What the word says up to an unquoted `end`, which is left out; to its very end for an empty one."""
        said = ""
        while self._at < len(self._word):
            character = self._next()
            if character == end:
                return said
            said += self._meaning(character)
        if end:
            raise _Unfinished("syntax error: missing '}'")
        return said

    def _meaning(self, character: str) -> str:
        match character:
            case "'":
                return self._single_quoted()
            case '"':
                return self._double_quoted()
            case "$":
                return self._variable()
            case "\\":
                return self._next() if self._at < len(self._word) else ""
            case _:
                return character

    def _next(self) -> str:
        self._at += 1
        return self._word[self._at - 1]

    def _single_quoted(self) -> str:
        end = self._word.find("'", self._at)
        if end < 0:
            raise _Unfinished("unexpected end of statement while looking for matching single-quote")
        said, self._at = self._word[self._at : end], end + 1
        return said

    def _double_quoted(self) -> str:
        said = ""
        while self._at < len(self._word):
            character = self._next()
            if character == '"':
                return said
            if character == "$":
                said += self._variable()
            elif character == "\\" and self._word[self._at : self._at + 1] not in _ESCAPABLE_IN_QUOTES:
                said += character
            else:
                said += self._next() if character == "\\" and self._at < len(self._word) else character
        raise _Unfinished("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        is_braced = self._word[self._at : self._at + 1] == "{"
        found = _NAME.match(self._word, self._at + is_braced)
        if found is None:
            if is_braced:
                raise _Unfinished("syntax error: bad substitution")
            return "$"
        self._at = found.end()
        return self._substitution(found[0]) if is_braced else self._variables.get(found[0], "")

    def _substitution(self, name: str) -> str:
        """What follows a name inside braces: nothing, or a modifier and its word."""
        value = self._variables.get(name)
        if self._at >= len(self._word):
            raise _Unfinished("syntax error: missing '}'")
        modifier = self._next()
        if modifier == "}":
            return value or ""
        counts_empty_as_unset = modifier == ":"
        if counts_empty_as_unset and self._at < len(self._word):
            modifier = self._next()
        is_set = bool(value) if counts_empty_as_unset else value is not None
        word = self.until("}")
        match modifier:
            case "-":
                return (value or "") if is_set else word
            case "+":
                return word if is_set else ""
            case "?" if is_set:
                return value or ""
            case "?":
                raise _Unfinished(f"{name}: {word or 'not allowed to be unset'}")
            case _:
                raise _Unfinished(f"unsupported modifier ({modifier}) in substitution")
