"""`--security-opt`: profiles are read here, because files are the client's."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.jsontext import compact, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALL = "ALL"
NO_NEW_PRIVILEGES = "no-new-privileges"


def options(given: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The options as the API has them, and HostConfig's path lists that `systempaths=unconfined` empties."""
    kept: list[str] = []
    paths: dict[str, Any] = {}
    for option in given:
        if option == "systempaths=unconfined":
            paths = {"MaskedPaths": [], "ReadonlyPaths": []}
        else:
            kept.append(_one(option))
    return kept, paths


def capabilities(added: list[str], dropped: list[str]) -> tuple[list[str], list[str]]:
    """Capabilities in the kernel's spelling, sorted; ALL stands alone, and adding wins over dropping."""
    wanted, unwanted = _named(added), _named(dropped)
    return wanted, [name for name in unwanted if name not in wanted]


def _named(names: list[str]) -> list[str]:
    found = {name.strip().upper() for name in names}
    if ALL in found:
        return [ALL]
    return sorted({name if name.startswith("CAP_") else f"CAP_{name}" for name in found})


def _one(option: str) -> str:
    name, equals, value = option.partition("=")
    if not equals and option != NO_NEW_PRIVILEGES:
        name, colon, value = option.partition(":")
        if not colon:
            raise CommandError(f"Invalid --security-opt: {option!r}".replace("'", '"'))
    if name == "seccomp" and value not in ("", "unconfined", "builtin"):
        return f"seccomp={_profile(value)}"
    return option


def _profile(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        decode(text)
        return compact(text)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise CommandError(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from error
    except ValueError as error:
        raise CommandError(f"compacting json for seccomp profile ({path}) failed: {error}") from error
