"""`-v`, `--volume`: `[source:]target[:options]`."""

from __future__ import annotations

import os

from wherry.cli.errors import CommandError


def split(specs: list[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Binds (with a source, a relative one made absolute) and anonymous volumes (a target alone)."""
    binds: list[str] = []
    anonymous: dict[str, dict[str, str]] = {}
    for spec in dict.fromkeys(specs):
        source, colon, rest = spec.partition(":")
        _check(spec)
        if not colon:
            anonymous[spec] = {}
        elif source.startswith("."):
            binds.append(f"{os.path.abspath(source)}:{rest}")
        else:
            binds.append(spec)
    return binds, anonymous


def _check(spec: str) -> None:
    parts = spec.split(":")
    if not spec:
        raise CommandError("invalid empty volume spec")
    if any(not part for part in parts):
        raise CommandError(f"invalid spec: {spec}: empty section between colons")
    if len(parts) > 3:
        raise CommandError(f"invalid spec: {spec}: too many colons")
