"""`--filter name=value`, gathered over repeated flags."""

from __future__ import annotations

from wherry.cli.flags import Kind


def read(text: str) -> tuple[str, str]:
    """The name in lower case and the value; ValueError in docker's words."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


FILTER = Kind("filter", read, gathers=True)


def gathered(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name."""
    wanted: dict[str, list[str]] = {}
    for name, value in pairs:
        wanted.setdefault(name, []).append(value)
    return wanted
