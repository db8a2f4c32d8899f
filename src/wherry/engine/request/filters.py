"""Filters as the API has them: names, each with values any of which may match (moby `api/types/filters`)."""

import re
from collections.abc import Collection, Mapping

from wherry.model.errors import InvalidParameter

_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


class Filters:
    """Filters whose names are known. A filter that was not given matches everything."""

    def __init__(self, said: Mapping[str, list[str]], accepted: Collection[str]) -> None:
        """Raise InvalidParameter `invalid filter 'x'` for a name that does not exist."""
        for name in said:
            if name not in accepted:
                raise InvalidParameter(f"invalid filter '{name}'")
        self._said = said

    def __contains__(self, name: str) -> bool:
        return bool(self._said.get(name))

    def values(self, name: str) -> list[str]:
        """What was said, empty for nothing."""
        return self._said.get(name, [])

    def has(self, name: str, value: str) -> bool:
        """Whether nothing was said or exactly this value among others."""
        return name not in self or value in self.values(name)

    def has_any(self, name: str, values: Collection[str]) -> bool:
        """Whether nothing was said or one of `values`."""
        return name not in self or any(value in self.values(name) for value in values)

    def matches(self, name: str, value: str) -> bool:
        """Whether nothing was said, or one value is `value` or a regular expression found in it."""
        return name not in self or any(_found(pattern, value) for pattern in self.values(name))

    def starts(self, name: str, value: str) -> bool:
        """Whether nothing was said, or one value is how `value` begins."""
        return name not in self or any(value.startswith(prefix) for prefix in self.values(name))

    def labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether all the labels that were said are there: `key` or `key=value`."""
        return all(_has_label(labels, wanted) for wanted in self.values(name))

    def truth(self, name: str) -> bool | None:
        """A filter of yes or no, None where nothing was said. Raises InvalidParameter."""
        if name not in self:
            return None
        said = {_TRUTHS[value] for value in self.values(name) if value in _TRUTHS}
        if len(said) != 1:
            raise InvalidParameter(f"invalid filter '{name}=[{' '.join(self.values(name))}]'")
        return said.pop()


def _found(pattern: str, value: str) -> bool:
    try:
        return pattern == value or re.search(pattern, value) is not None
    except re.error:
        return False


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, sign, value = wanted.partition("=")
    return key in labels and (not sign or labels[key] == value)
