"""Filters as people write them, in the form that the calls take."""

from collections.abc import Iterable, Mapping

Filters = Mapping[str, str | bool | Iterable[str]]


def filters_of(filters: Filters | None) -> dict[str, list[str]] | None:
    """Each value as a list of texts; true and false as the API says them."""
    if filters is None:
        return None
    return {name: _texts(value) for name, value in filters.items()}


def _texts(value: str | bool | Iterable[str]) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [value] if isinstance(value, str) else list(value)
