"""Pulling an image: what `pull` does, and `run` for an image that is missing."""

from __future__ import annotations

from wherry.cli import credentials, progress, reference
from wherry.client import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from wherry.cli.session import Session

LATEST = "latest"


def fetch(
    session: Session,
    wanted: reference.Reference,
    *,
    platform: str = "",
    quiet: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Pull one image, or all tags of a repository when neither tag nor digest is said."""
    auth = credentials.registry_auth(session.settings, reference.auth_key(wanted.registry))
    call = images.pull(wanted.familiar, wanted.digest or wanted.tag, platform=platform, auth=auth)
    messages = session.client.send(call).lines()
    if quiet:
        progress.drain(messages)
    else:
        progress.show(messages, stream)
