"""Go's text/template, as far as docker's `--format` and tags of logs reach: `Template(text).render(value)`.

Left out, and refused by name: `define`, `template`, `block` and `call`, which need more than one template or Go's
functions. Values are what JSON gives, and `Row` for lines of tables.
"""

from __future__ import annotations

from wherry.gotemplate.errors import TemplateError
from wherry.gotemplate.nodes import Row, Scope, Sequence
from wherry.gotemplate.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Functions = Mapping[str, Callable[..., Any]]

__all__ = ["Row", "Template", "TemplateError"]


class Template:
    """A parsed template. Parsing raises TemplateError, so does rendering; both in Go's words."""

    def __init__(self, text: str, *, name: str = "", functions: Functions | None = None) -> None:
        from wherry.gotemplate.functions import FUNCTIONS

        self._functions: Functions = {**FUNCTIONS, **(functions or {})}
        self._name = name
        self._root: Sequence = parse(text, name, self._functions)

    def render(self, value: Any, *, optional: Callable[[str], bool] | None = None) -> str:
        """The text for `value`. `optional` tells which keys may miss from a map without an error."""
        pieces: list[str] = []
        self._root.write(Scope(value, pieces.append, self._functions, self._name, optional))
        return "".join(pieces)
