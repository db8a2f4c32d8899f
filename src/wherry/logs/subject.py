"""The container that a log is of, as drivers name it to others: ids, names, labels, variables."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wherry.model.errors import InvalidParameter
from wherry.model.ids import short_id

_IMAGE_ID_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A container. `command` is its path and arguments; `created_ns` in nanoseconds since the epoch."""

    id: str
    name: str
    command: tuple[str, ...] = ()
    image_id: str = ""
    image_name: str = ""
    created_ns: int = 0
    env: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    daemon_name: str = "docker"
    host_name: str = ""

    @property
    def short_id(self) -> str:
        """The first twelve letters."""
        return short_id(self.id)

    @property
    def short_image_id(self) -> str:
        """As dockerd has it: twelve letters, `sha256:` included."""
        return self.image_id[:_IMAGE_ID_LENGTH]

    def extra_attributes(self, rename: Callable[[str], str] = str) -> dict[str, str]:
        """The labels and variables that the options `labels`, `env` and their `-regex` choose.

        `rename` makes the names fit for where they go. Raises InvalidParameter.
        """
        variables = dict(entry.split("=", 1) for entry in self.env if "=" in entry)
        chosen = _named(self.labels, self.options.get("labels", ""))
        chosen |= _matching(self.labels, self.options.get("labels-regex", ""))
        chosen |= _named(variables, self.options.get("env", ""))
        if variables:  # dockerd does not look at the expression where there is nothing to choose from
            chosen |= _matching(variables, self.options.get("env-regex", ""))
        return {rename(name): value for name, value in chosen.items()}


def _named(found: Mapping[str, str], names: str) -> dict[str, str]:
    return {name: found[name] for name in names.split(",") if name in found}


def _matching(found: Mapping[str, str], expression: str) -> dict[str, str]:
    if not expression:
        return {}
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise InvalidParameter(_regexp_words(expression, error)) from None
    return {name: value for name, value in found.items() if pattern.search(name)}


def _regexp_words(expression: str, error: re.error) -> str:
    """Go's words for the commonest, Python's for the others."""
    if "unterminated character set" in error.msg:
        return f"error parsing regexp: missing closing ]: `{expression[error.pos or 0 :]}`"
    if "missing ), unterminated subpattern" in error.msg:
        return f"error parsing regexp: missing closing ): `{expression}`"
    return f"error parsing regexp: {error.msg}: `{expression}`"
