"""The user's `config.json`, shared with docker: read when asked for, written by login and logout.

Fields used: `auths`, `credsStore`, `credHelpers`, `detachKeys`, `HttpHeaders`, `proxies`, and the `*Format` fields.
"""

from __future__ import annotations

import os

from wherry.cli.errors import CommandError
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def directory(chosen: str = "") -> str:
    """Where the file lives: as chosen, DOCKER_CONFIG, or ~/.docker."""
    home = os.environ.get("HOME") or "/root"
    return chosen or os.environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")


def load(where: str) -> dict[str, Any]:
    """The settings in the directory `where`; empty when there is no file.

    Raises CommandError for a file that is not a JSON object.
    """
    path = os.path.join(where, "config.json")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CommandError(f"loading config file: {path}: {error.strerror}") from error
    try:
        value = decode(data) if data.strip() else {}
    except ValueError as error:
        raise CommandError(f"loading config file: {path}: {error}") from error
    if not isinstance(value, dict):
        raise CommandError(f"loading config file: {path}: not a JSON object")
    return value


def store(where: str, value: dict[str, Any]) -> None:
    """Write the settings whole or not at all, readable by their owner only."""
    from json import dumps

    path = os.path.join(where, "config.json")
    try:
        path = os.path.realpath(path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(dumps(value, indent="\t", ensure_ascii=False))
        os.replace(temporary, path)
    except OSError as error:
        raise CommandError(f"saving config file: {path}: {error.strerror}") from error
