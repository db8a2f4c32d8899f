"""Streams of progress messages: what they say of failures, and of what came out in the end."""

from typing import Any

from wherry.python.errors import PullError
from wherry.python.records.image import Progress
from wherry.python.records.record import read

LOADED = ("Loaded image: ", "Loaded image ID: ")


def understand(message: Any) -> Progress:
    """One message. Raises PullError for one that tells of a failure."""
    detail = message.get("errorDetail") or {} if isinstance(message, dict) else {}
    words = detail.get("message") or (message.get("error") if isinstance(message, dict) else "")
    if words:
        raise PullError(str(words))
    return read(Progress, message)


def loaded(stream: str) -> list[str]:
    """The images that a text of `docker load` names."""
    lines = stream.splitlines()
    return [line.removeprefix(words) for line in lines for words in LOADED if line.startswith(words)]


def split(reference: str) -> tuple[str, str]:
    """Repository and tag or digest; the tag is `latest` when none is said."""
    name, _, digest = reference.partition("@")
    if digest:
        return name.partition(":")[0] if "/" not in name else _without_tag(name), digest
    repository = _without_tag(name)
    return repository, name[len(repository) + 1 :] or "latest"


def _without_tag(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]
