"""Which function answers which request: a table by method, first and last words of a path."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp.web import BaseRequest, StreamResponse

from wherry.api.forms import Form
from wherry.api.verbs import Verbs
from wherry.api.versions import Version
from wherry.engine.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a request asks for beside what it brings. `name` is what the path calls its object by."""

    engine: Engine
    version: Version
    form: Form
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Question):
    """One request, parsed as far as every route needs it."""

    request: BaseRequest
    verbs: Verbs


Answer = Callable[[Question], Coroutine[Any, Any, StreamResponse]]
Route = Callable[[Call], Awaitable[StreamResponse]]
Registrar = Callable[[Route], Route]


@dataclass(slots=True)
class RouteTable:
    """Routes are found in one or two look-ups, however many there are.

    A pattern is a path that may hold one `{name}` after its first word: `/containers/{name}/attach/ws`. A name
    may hold slashes, as those of images do.
    """

    exact: dict[tuple[str, str], Route] = field(default_factory=dict)
    named: dict[tuple[str, str, str], Route] = field(default_factory=dict)
    answers: dict[Route, Answer] = field(default_factory=dict)

    def route(self, method: str, *patterns: str) -> Registrar:
        """Register the decorated function."""

        def register(function: Route) -> Route:
            for pattern in patterns:
                self.add(method, pattern, function)
            return function

        return register

    def question(self, method: str, *patterns: str) -> Callable[[Answer], Answer]:
        """Register a function that only tells what is, without a query also without waiting: for `Shortcuts` too."""

        def register(function: Answer) -> Answer:
            self.answers[function] = function
            self.route(method, *patterns)(function)
            return function

        return register

    def add(self, method: str, pattern: str, function: Route) -> None:
        """Register a function for a method and a pattern."""
        head, name, tail = pattern.partition("{name}")
        if name:
            self.named[method, head.strip("/"), tail.strip("/")] = function
        else:
            self.exact[method, pattern] = function

    def include(self, other: "RouteTable") -> None:
        """Take in another table's routes."""
        self.exact.update(other.exact)
        self.named.update(other.named)
        self.answers.update(other.answers)

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """The route for a clean path, and the name that the path holds."""
        exact = self.exact.get((method, path))
        if exact is not None:
            return exact, ""
        head, _, rest = path[1:].partition("/")
        words = rest.split("/")
        for tail_length in (2, 1, 0):
            name, tail = words[: len(words) - tail_length], words[len(words) - tail_length :]
            found = self.named.get((method, head, "/".join(tail)))
            if found is not None and any(name):
                return found, "/".join(name)
        return None


def clean(path: str) -> str:
    """A path without empty, `.` and `..` words, a trailing slash kept (Go's path.Clean, as its routers use it)."""
    words: list[str] = []
    for word in path.split("/"):
        if word == "..":
            del words[-1:]
        elif word not in {"", "."}:
            words.append(word)
    trailing = "/" if path.endswith("/") and words else ""
    return "/" + "/".join(words) + trailing
