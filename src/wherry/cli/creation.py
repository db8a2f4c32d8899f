"""Creating a container from flags, pulling its image when it is missing, writing the ID file."""

from __future__ import annotations

import os
import sys

from wherry.cli import reference
from wherry.cli.errors import CommandError
from wherry.cli.options import spec
from wherry.cli.output import complain
from wherry.cli.platforms import check
from wherry.cli.pulling import LATEST, fetch
from wherry.client import containers
from wherry.client.client import version_key
from wherry.client.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

MAC_OF_ENDPOINT = (1, 44)
ALWAYS, MISSING, NEVER = "always", "missing", "never"


def body_of(session: Session, given: Given, arguments: list[str]) -> dict[str, Any]:
    """The create call's body, checked as far as the client checks."""
    if given["pull"] not in (ALWAYS, MISSING, NEVER):
        raise CommandError(
            f'invalid pull option: \'{given["pull"]}\': must be one of "{ALWAYS}", "{MISSING}" or "{NEVER}"'
        )
    return spec.body(given, arguments, session.settings.get("proxies") or {})


def create(session: Session, given: Given, body: dict[str, Any]) -> str:
    """Create the container and return its ID; warnings go to the error stream."""
    image = _reference(body["Image"])
    platform = check(given["platform"] or os.environ.get("DOCKER_DEFAULT_PLATFORM", ""))
    id_file = _IdFile(given["cidfile"])
    _fit_to(session.client.version, body)
    call = containers.create(body, name=given["name"], platform=platform)
    if image is not None and given["pull"] == ALWAYS:
        fetch(session, image, platform=platform, quiet=given["quiet"], stream=sys.stderr)
    try:
        answer = session.client.json(call)
    except NotFound:
        if image is None or given["pull"] != MISSING:
            raise
        complain(f"Unable to find image '{image}' locally")
        fetch(session, image, platform=platform, quiet=given["quiet"], stream=sys.stderr)
        answer = session.client.json(call)
    for warning in answer.get("Warnings") or ():
        complain(f"WARNING: {warning}")
    identifier: str = answer["Id"]
    id_file.write(identifier)
    return identifier


def _fit_to(version: str, body: dict[str, Any]) -> None:
    """Say things as daemons of older APIs take them: the MAC address was the container's, not the endpoint's."""
    if version_key(version) < MAC_OF_ENDPOINT:
        for endpoint in body["NetworkingConfig"]["EndpointsConfig"].values():
            if endpoint.get("MacAddress"):
                body["MacAddress"] = endpoint["MacAddress"]


def _reference(image: str) -> reference.Reference | None:
    """The image's name with its tag, None for an ID."""
    if reference.is_id(image):
        return None
    found = reference.parse(image)
    if found.is_named_only:
        found.tag = LATEST
    return found


class _IdFile:
    """The file of `--cidfile`: made before the container, so that two never share one; nothing without a path."""

    def __init__(self, path: str) -> None:
        self._path = path
        if path and os.path.exists(path):
            raise CommandError(f"container ID file found, make sure the other container isn't running or delete {path}")

    def write(self, identifier: str) -> None:
        if not self._path:
            return
        try:
            with open(self._path, "x", encoding="ascii") as file:
                file.write(identifier)
        except OSError as error:
            raise CommandError(f"failed to create the container ID file: {self._path}: {error.strerror}") from error
