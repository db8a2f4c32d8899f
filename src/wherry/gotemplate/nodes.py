"""The nodes of a parsed template and what each does with a value."""

from __future__ import annotations

from abc import ABC, abstractmethod

from wherry.gotemplate.errors import TemplateError
from wherry.gotemplate.values import shown, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# What a pipeline's last command gets when nothing is piped into it.
NOTHING = object()


class Row:
    """One line of a table: columns by name, computed when asked for; `type_name` is for error messages."""

    __slots__ = ("columns", "item", "type_name")

    def __init__(self, item: Any, columns: Mapping[str, Callable[[Any], Any]], type_name: str) -> None:
        self.item = item
        self.columns = columns
        self.type_name = type_name

    def as_map(self) -> dict[str, Any]:
        """All columns in the order of their names, without those that are functions, such as `.Label "x"`."""
        values = {name: self.columns[name](self.item) for name in sorted(self.columns)}
        return {name: value for name, value in values.items() if not callable(value)}


class Scope:
    """Where the template is: the value of the dot, variables, and where the text goes."""

    __slots__ = ("dot", "functions", "name", "optional", "root", "variables", "write")

    def __init__(
        self,
        dot: Any,
        write: Callable[[str], object],
        functions: Mapping[str, Callable[..., Any]],
        name: str,
        optional: Callable[[str], bool] | None,
    ) -> None:
        self.dot = dot
        self.root = dot
        self.write = write
        self.functions = functions
        self.name = name
        self.optional = optional
        self.variables: list[tuple[str, Any]] = [("$", dot)]

    def inside(self, dot: Any) -> Scope:
        """The same with another dot, and the variables known so far."""
        inner = Scope(dot, self.write, self.functions, self.name, self.optional)
        inner.root = self.root
        inner.variables = self.variables
        return inner


class Jump(Exception):
    """`{{break}}` or `{{continue}}`."""

    def write(self, _: Scope) -> None:
        """Write what it stands for."""
        raise self


class Text:
    """Text outside actions."""

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, scope: Scope) -> None:
        """Write what it stands for."""
        scope.write(self.text)


class Sequence:
    """One node after another."""

    def __init__(self, parts: list[Node]) -> None:
        self.parts = parts

    def write(self, scope: Scope) -> None:
        """Write what it stands for."""
        for part in self.parts:
            part.write(scope)


class Action:
    """`{{pipeline}}`: its value as text, unless it declares a variable."""

    def __init__(self, pipe: Pipeline) -> None:
        self.pipe = pipe

    def write(self, scope: Scope) -> None:
        """Write what it stands for."""
        value = self.pipe.value(scope)
        if not self.pipe.names:
            scope.write("<no value>" if value is None else shown(value))


class Block(ABC):
    """What if, with and range share: a pipeline, a body, and what comes otherwise."""

    def __init__(self, pipe: Pipeline, body: Node, otherwise: Node) -> None:
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise

    def write(self, scope: Scope) -> None:
        """Write what it stands for."""
        known = len(scope.variables)
        self.choose(scope)
        del scope.variables[known:]

    @abstractmethod
    def choose(self, scope: Scope) -> None:
        """Write the body or the other."""


class If(Block):
    """`{{if}}`: the dot stays."""

    def choose(self, scope: Scope) -> None:
        """Write the body or the other."""
        (self.body if truth(self.pipe.value(scope)) else self.otherwise).write(scope)


class With(Block):
    """`{{with}}`: the dot becomes the value."""

    def choose(self, scope: Scope) -> None:
        """Write the body or the other."""
        value = self.pipe.value(scope)
        if truth(value):
            self.body.write(scope.inside(value))
        else:
            self.otherwise.write(scope)


class Range(Block):
    """`{{range}}`: the dot becomes each item; maps go by sorted key."""

    def choose(self, scope: Scope) -> None:
        """Write the body or the other."""
        value = self.pipe.value(scope, declare=False)
        pairs = _pairs(value, self.pipe.text)
        if not pairs:
            self.otherwise.write(scope)
        for key, item in pairs:
            known = len(scope.variables)
            names = self.pipe.names
            scope.variables.extend(zip(names, (key, item) if len(names) > 1 else (item,), strict=False))
            try:
                self.body.write(scope.inside(item))
            except Jump as jump:
                if jump.args[0] == "break":
                    return
            finally:
                del scope.variables[known:]


def _pairs(value: Any, text: str) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(value)]
    if value is None:
        return []
    raise TemplateError(f"{text}: range can't iterate over {shown(value)}")


class Pipeline:
    """Commands, each given the value of the one before as last argument; maybe variables for the result."""

    def __init__(self, commands: list[Command], names: list[str], *, declares: bool) -> None:
        self.commands = commands
        self.names = names
        self.declares = declares

    @property
    def text(self) -> str:
        """Where it stands, for errors."""
        return self.commands[0].column

    def value(self, scope: Scope, *, declare: bool = True) -> Any:
        """What it is worth in `scope`."""
        value: Any = NOTHING
        for command in self.commands:
            value = command.value(scope, value)
        if declare:
            for name in self.names:
                self._set(scope, name, value)
        return value

    def _set(self, scope: Scope, name: str, value: Any) -> None:
        if self.declares:
            scope.variables.append((name, value))
            return
        for index in range(len(scope.variables) - 1, -1, -1):
            if scope.variables[index][0] == name:
                scope.variables[index] = (name, value)
                return


class Command:
    """An operand, or a function and its arguments."""

    def __init__(self, operands: list[Operand], text: str, column: str) -> None:
        self.operands = operands
        self.text = text
        self.column = column

    def value(self, scope: Scope, piped: Any) -> Any:
        """What it is worth in `scope`."""
        first, *rest = self.operands
        if isinstance(first, Function):
            if first.name in ("and", "or"):
                return self._short_circuit(scope, rest, piped, stop_at=first.name == "or")
            arguments = [operand.value(scope) for operand in rest]
            if piped is not NOTHING:
                arguments.append(piped)
            return self._call(scope, first.name, arguments)
        value = first.value(scope)
        if callable(value):
            arguments = [operand.value(scope) for operand in rest]
            return value(*arguments, *([] if piped is NOTHING else [piped]))
        if rest or piped is not NOTHING:
            raise TemplateError(self._fail(scope, f"can't give argument to non-function {self.text.split()[0]}"))
        return value

    def _short_circuit(self, scope: Scope, rest: list[Operand], piped: Any, *, stop_at: bool) -> Any:
        value: Any = None
        for operand in rest:
            value = operand.value(scope)
            if truth(value) is stop_at:
                return value
        return value if piped is NOTHING else piped

    def _call(self, scope: Scope, name: str, arguments: list[Any]) -> Any:
        try:
            return scope.functions[name](*arguments)
        except TypeError:
            problem = f"wrong number or type of args for {name}: got {len(arguments)}"
            raise TemplateError(self._fail(scope, problem)) from None
        except (ValueError, IndexError, KeyError) as error:
            raise TemplateError(self._fail(scope, f"error calling {name}: {error.args[0]}")) from None

    def _fail(self, scope: Scope, problem: str) -> str:
        return f'{self.column}: executing "{scope.name}" at <{self.text}>: {problem}'


class Dot:
    """`.`."""

    def value(self, scope: Scope) -> Any:
        """What it is worth in `scope`."""
        return scope.dot


class Variable:
    """`$x`, or `$` for the value the template began with."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, scope: Scope) -> Any:
        """What it is worth in `scope`."""
        return next((value for name, value in reversed(scope.variables) if name == self.name), None)


class Constant:
    """A literal."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def value(self, _: Scope) -> Any:
        """What it is worth in `scope`."""
        return self._value


class Function:
    """A function without arguments, standing alone as an operand."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, scope: Scope) -> Any:
        """What it is worth in `scope`."""
        return scope.functions[self.name]()


class Parenthesized:
    """`(pipeline)`."""

    def __init__(self, pipe: Pipeline) -> None:
        self.pipe = pipe

    def value(self, scope: Scope) -> Any:
        """What it is worth in `scope`."""
        return self.pipe.value(scope)


class Chain:
    """`base.Field.Field`."""

    def __init__(self, base: Operand, fields: list[str], text: str, column: str) -> None:
        self.base = base
        self.fields = fields
        self.text = text
        self.column = column

    def value(self, scope: Scope) -> Any:
        """What it is worth in `scope`."""
        value = self.base.value(scope)
        for field in self.fields:
            value = self._field(scope, value, field)
        return value

    def _field(self, scope: Scope, value: Any, field: str) -> Any:
        if isinstance(value, Row):
            if field in value.columns:
                return value.columns[field](value.item)
            problem = f"can't evaluate field {field} in type {value.type_name}"
        elif isinstance(value, dict):
            if field in value:
                return value[field]
            if field == "ID" and "Id" in value:
                return value["Id"]  # Go's types spell it so, and so do users
            if _is_text_map(value) or (scope.optional is not None and scope.optional(field)):
                return None
            problem = f'map has no entry for key "{field}"'
        elif value is None:
            problem = f"nil pointer evaluating interface {{}}.{field}"
        else:
            problem = f"can't evaluate field {field} in type {type_name(value)}"
        raise TemplateError(f'{self.column}: executing "{scope.name}" at <{self.text}>: {problem}')


def _is_text_map(value: dict[str, Any]) -> bool:
    """True for labels and their like, where Go does not mind a missing key; a Go type's fields are capitalised."""
    return all(isinstance(item, str) and not key[:1].isupper() for key, item in value.items())


BLOCKS: dict[str, type[Block]] = {"if": If, "range": Range, "with": With}

if TYPE_CHECKING:
    Node = Text | Sequence | Action | Block | Jump
    Operand = Dot | Variable | Constant | Function | Parenthesized | Chain
