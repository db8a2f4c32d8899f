"""Who we are to registries: what the caller says, or what a login has left in docker's configuration."""

import base64
import json
import os
from pathlib import Path
from typing import TypedDict

from wherry.jsontext import encode

HUB = "https://index.docker.io/v1/"
HUB_NAMES = ("docker.io", "index.docker.io")


class Credentials(TypedDict, total=False):
    """A name with a password, or a token, as the API's AuthConfig has them."""

    username: str
    password: str
    identitytoken: str
    registrytoken: str


def header_for(repository: str, auth: Credentials | None) -> str:
    """The X-Registry-Auth header: JSON in URL-safe base64; "" when nothing is known."""
    registry = registry_of(repository)
    found = auth if auth is not None else _kept(registry)
    if not found:
        return ""
    return base64.urlsafe_b64encode(encode({**found, "serveraddress": registry}).encode()).decode()


def registry_of(repository: str) -> str:
    """Under which name configurations keep the registry of a repository."""
    first, slash, _ = repository.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host and first not in HUB_NAMES else HUB


def _kept(registry: str) -> Credentials:
    """What config.json has itself. Those that a helper program keeps are for the command line and the caller."""
    directory = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        entry = json.loads((directory / "config.json").read_text()).get("auths", {}).get(registry, {})
        username, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (OSError, ValueError, AttributeError):
        return {}
    found: Credentials = {"username": username, "password": password} if username else {}
    if entry.get("identitytoken"):
        found["identitytoken"] = entry["identitytoken"]
    return found
