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
        if not spec:
            raise CommandError("invalid empty volume spec")
        if len(spec) > 2 and any(not part for part in spec.split(":")):
            raise CommandError(f"invalid spec: {spec}: empty section between colons")
        # Shorter than a source, a colon and a target: a target, whatever it is.
        if not colon or len(spec) < 3:
            anonymous[spec] = {}
        elif source.startswith("."):
            binds.append(f"{os.path.abspath(source)}:{rest}")
        else:
            binds.append(spec)
    return binds, anonymous
