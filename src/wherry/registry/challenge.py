"""WWW-Authenticate headers as values (RFC 9110 section 11, distribution's token specification)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER_LENGTH_MAX = 8192

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|$)(?!=)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in: a scheme in lower case and its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of all headers, in order; what cannot be read is left out."""
    return tuple(challenge for header in headers for challenge in _parse(header[:HEADER_LENGTH_MAX]))


def _parse(header: str) -> Iterable[Challenge]:
    position = 0
    while found := _SCHEME.match(header, position):
        position = found.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            key, quoted, plain = parameter.groups()
            parameters[key.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            position = parameter.end()
        yield Challenge(found[1].lower(), parameters)
