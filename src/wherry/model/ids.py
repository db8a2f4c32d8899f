"""Identifiers: 64 hex digits, 12 of them for the eye; names and the prefixes people type."""

import re
import secrets

ID_LENGTH = 64
SHORT_LENGTH = 12

# moby daemon/names/names.go RestrictedNamePattern, with the leading slash already cut.
NAME_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def new_id() -> str:
    """A random identifier of 64 hex digits whose first twelve are not all decimal.

    An all-decimal short id would be taken for a number as a host name (moby stringid.GenerateRandomID).
    """
    while True:
        identifier = secrets.token_hex(ID_LENGTH // 2)
        if not identifier[:SHORT_LENGTH].isdecimal():
            return identifier


def short_id(identifier: str) -> str:
    """The first twelve digits, without an algorithm prefix such as `sha256:`."""
    return identifier.rpartition(":")[2][:SHORT_LENGTH]


def is_valid_name(name: str) -> bool:
    """Whether a container or volume may be called this (without a leading slash)."""
    return NAME_PATTERN.fullmatch(name) is not None
