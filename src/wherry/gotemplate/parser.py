"""Tokens to a tree of nodes, and the errors that Go's parser would give."""

from __future__ import annotations

from wherry.gotemplate import nodes
from wherry.gotemplate.errors import TemplateError
from wherry.gotemplate.lexer import Token, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

BLOCKS = ("if", "range", "with")
UNSUPPORTED = ("define", "template", "block")
CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(text: str, name: str, functions: Container[str]) -> nodes.Sequence:
    """The tree of `text`. Raises TemplateError."""
    fail = f"template: {name}:1"
    return _Parser(tokens(text, fail), fail, text, functions).template()


class _Parser:
    """The tokens and how far they have been read."""

    def __init__(self, found: list[Token], fail: str, text: str, functions: Container[str]) -> None:
        self.tokens = found
        self.at = 0
        self.fail = fail
        self.text = text
        self.functions = functions
        self.variables = ["$"]

    def template(self) -> nodes.Sequence:
        sequence, ended = self._sequence(())
        if ended:
            raise TemplateError(f"{self.fail}: unexpected {{{{{ended}}}}}")
        return sequence

    def _sequence(self, enders: tuple[str, ...]) -> tuple[nodes.Sequence, str]:
        """Nodes up to `else` or `end`, which is returned too; its own tokens after the word are not read."""
        parts: list[nodes.Node] = []
        while self.at < len(self.tokens):
            token = self._next()
            if token.kind == "text":
                parts.append(nodes.Text(token.text))
                continue
            self._spaces()
            word = self._peek()
            if word.kind == "word" and word.text in ("else", "end"):
                self._next()
                return nodes.Sequence(parts), word.text
            parts.append(self._action(word))
        if enders:
            raise TemplateError(f"{self.fail}: unexpected EOF")
        return nodes.Sequence(parts), ""

    def _action(self, word: Token) -> nodes.Node:
        if word.kind == "word" and word.text in UNSUPPORTED:
            raise TemplateError(f"{self.fail}: {word.text} is not supported in formats")
        if word.kind == "word" and word.text in BLOCKS:
            self._next()
            return self._block(word.text)
        if word.kind == "word" and word.text in ("break", "continue"):
            self._next()
            self._close(word.text)
            return nodes.Jump(word.text)
        pipe = self._pipeline("command")
        self._close("command")
        return nodes.Action(pipe)

    def _block(self, kind: str) -> nodes.Node:
        known = len(self.variables)
        pipe = self._pipeline(kind)
        self._close(kind)
        body, ended = self._sequence(("end",))
        otherwise: nodes.Node = nodes.Sequence([])
        if ended == "else":
            self._spaces()
            word = self._peek()
            if word.kind == "word" and word.text in ("if", "with"):
                self._next()
                otherwise = self._block(word.text)
                del self.variables[known:]
                return nodes.BLOCKS[kind](pipe, body, otherwise)
            self._close("else")
            otherwise, ended = self._sequence(("end",))
            if ended == "else":
                raise TemplateError(f"{self.fail}: expected end; found {{{{else}}}}")
        self._close("end")
        del self.variables[known:]
        return nodes.BLOCKS[kind](pipe, body, otherwise)

    def _pipeline(self, context: str) -> nodes.Pipeline:
        self._spaces()
        names, declares = self._declared()
        commands = [self._command(context)]
        while self._peek().kind == "|":
            self._next()
            commands.append(self._command(context))
        self.variables.extend(names if declares else [])
        return nodes.Pipeline(commands, names, declares=declares)

    def _declared(self) -> tuple[list[str], bool]:
        """The variables before `:=` or `=`, if that is what comes."""
        start = self.at
        names: list[str] = []
        while self._peek().kind == "variable":
            names.append(self._next().text)
            self._spaces()
            sign = self._peek().kind
            if sign in (":=", "="):
                self._next()
                return names, sign == ":="
            if sign != ",":
                break
            self._next()
            self._spaces()
        self.at = start
        return [], False

    def _command(self, context: str) -> nodes.Command:
        self._spaces()
        start = self._peek().at
        operands: list[nodes.Operand] = []
        while self._peek().kind not in ("|", "close", ")"):
            operands.append(self._operand(context))
            self._spaces()
        if not operands:
            raise TemplateError(f"{self.fail}: missing value for {context}")
        return nodes.Command(operands, self.text[start : self._peek().at].strip(), self._column(start))

    def _operand(self, context: str) -> nodes.Operand:
        token = self._next()
        base = self._base(token, context)
        fields: list[str] = []
        # Go points at the second part of a chain.
        column = self._column(self._peek().at if self._peek().kind == "field" else token.at)
        while self._peek().kind == "field":
            fields.append(self._next().text[1:])
        if token.kind == "field":
            fields.insert(0, token.text[1:])
        if not fields:
            return base
        written = self.text[token.at : self.tokens[self.at].at]
        return nodes.Chain(base, fields, written.strip(), column)

    def _base(self, token: Token, context: str) -> nodes.Operand:
        if token.kind in ("field", "dot"):
            return nodes.Dot()
        if token.kind == "variable":
            if token.text not in self.variables:
                raise TemplateError(f'{self.fail}: undefined variable "{token.text}"')
            return nodes.Variable(token.text)
        if token.kind in ("string", "number"):
            return nodes.Constant(token.value)
        if token.kind == "word" and token.text in CONSTANTS:
            return nodes.Constant(CONSTANTS[token.text])
        if token.kind == "word":
            if token.text not in self.functions:
                raise TemplateError(f'{self.fail}: function "{token.text}" not defined')
            return nodes.Function(token.text)
        if token.kind == "(":
            inner = self._pipeline("parenthesized pipeline")
            if self._next().kind != ")":
                raise TemplateError(f"{self.fail}: unclosed left paren")
            return nodes.Parenthesized(inner)
        raise TemplateError(f'{self.fail}: unexpected "{token.text}" in {context}')

    def _column(self, at: int) -> str:
        return f"{self.fail}:{at - (self.text.rfind(chr(10), 0, at) + 1)}"

    def _peek(self) -> Token:
        if self.at >= len(self.tokens):
            raise TemplateError(f"{self.fail}: unexpected EOF")
        return self.tokens[self.at]

    def _next(self) -> Token:
        token = self._peek()
        self.at += 1
        return token

    def _spaces(self) -> None:
        while self._peek().kind == "space":
            self.at += 1

    def _close(self, context: str) -> None:
        self._spaces()
        token = self._next()
        if token.kind != "close":
            raise TemplateError(f'{self.fail}: unexpected "{token.text}" in {context}')
