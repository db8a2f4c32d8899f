"""The prune verbs: remove what nothing uses."""

from __future__ import annotations

import sys

from wherry.cli.errors import CommandError
from wherry.cli.filters import FILTER, gathered
from wherry.cli.flags import BOOL, Flag, Verb
from wherry.cli.human import size
from wherry.cli.output import emit, flush
from wherry.client import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

    Wanted = dict[str, list[str]]

CONTAINERS = "WARNING! This will remove all stopped containers."
NETWORKS = "WARNING! This will remove all custom networks not used by at least one container."
DANGLING = "WARNING! This will remove all dangling images."
IMAGES = "WARNING! This will remove all images without at least one container associated to them."
ANONYMOUS = "WARNING! This will remove anonymous local volumes not used by at least one container."
VOLUMES = "WARNING! This will remove all local volumes not used by at least one container."


def _ask(given: Given, warning: str) -> None:
    """Raise CommandError unless the user agrees or has agreed by --force."""
    if given["force"]:
        return
    emit(f"{warning}\nAre you sure you want to continue? [y/N] ")
    flush()
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise CommandError()


def _containers(session: Session, given: Given, _: list[str]) -> int:
    _ask(given, CONTAINERS)
    return _total(_prune(session, "containers", gathered(given["filter"])))


def _networks(session: Session, given: Given, _: list[str]) -> int:
    _ask(given, NETWORKS)
    _prune(session, "networks", gathered(given["filter"]))
    return 0


def _images(session: Session, given: Given, _: list[str]) -> int:
    _ask(given, IMAGES if given["all"] else DANGLING)
    return _total(_prune(session, "images", _image_filter(given)))


def _volumes(session: Session, given: Given, _: list[str]) -> int:
    wanted = gathered(given["filter"])
    if given["all"]:
        if "all" in wanted:
            raise CommandError("conflicting options: cannot specify both --all and --filter all=1")
        wanted["all"] = ["true"]
    _ask(given, VOLUMES if given["all"] else ANONYMOUS)
    return _total(_prune(session, "volumes", wanted))


def _system(session: Session, given: Given, _: list[str]) -> int:
    wanted = gathered(given["filter"])
    if given["volumes"] and "until" in wanted:
        raise CommandError('ERROR: The "until" filter is not supported with "--volumes"')
    things = ["all stopped containers", "all networks not used by at least one container"]
    if given["volumes"]:
        things.append("all anonymous volumes not used by at least one container")
    things.append(
        "all images without at least one container associated to them" if given["all"] else "all dangling images"
    )
    listed = "".join([f"  - {thing}\n" for thing in things])
    _ask(given, f"WARNING! This will remove:\n{listed}")
    total = _prune(session, "containers", wanted) + _prune(session, "networks", wanted)
    if given["volumes"]:
        total += _prune(session, "volumes", wanted)
    return _total(total + _prune(session, "images", _image_filter(given)))


def _image_filter(given: Given) -> Wanted:
    wanted = gathered(given["filter"])
    wanted["dangling"] = ["false" if given["all"] else "true"]
    return wanted


def _prune(session: Session, kind: str, wanted: Wanted) -> int:
    """Prune one kind, tell what went, and return how many bytes that gave."""
    answer: dict[str, Any] = session.client.json(system.prune(kind, wanted=wanted)) or {}
    field = {"containers": "ContainersDeleted", "networks": "NetworksDeleted", "volumes": "VolumesDeleted"}.get(kind)
    removed = answer.get(field or "ImagesDeleted") or []
    if removed:
        lines = [it if isinstance(it, str) else _image(it) for it in removed]
        emit(f"Deleted {kind.title()}:\n" + "".join([f"{text}\n" for text in lines]) + "\n")
    return int(answer.get("SpaceReclaimed") or 0)


def _image(it: dict[str, str]) -> str:
    return f"untagged: {it['Untagged']}" if it.get("Untagged") else f"deleted: {it['Deleted']}"


def _total(count: int) -> int:
    emit(f"Total reclaimed space: {size(count)}\n")
    return 0


FORCE = Flag("force", "f", BOOL, "Do not ask")
ONLY = Flag("filter", "", FILTER, 'Remove only what fits (such as "until=24h")')

CONTAINER_PRUNE = Verb("[OPTIONS]", _containers, ONLY, FORCE)
NETWORK_PRUNE = Verb("[OPTIONS]", _networks, ONLY, FORCE)
IMAGE_PRUNE = Verb(
    "[OPTIONS]", _images, Flag("all", "a", BOOL, "Remove all unused images, with names too"), ONLY, FORCE
)
VOLUME_PRUNE = Verb(
    "[OPTIONS]", _volumes, Flag("all", "a", BOOL, "Remove all unused volumes, with names too"), ONLY, FORCE
)
SYSTEM_PRUNE = Verb(
    "[OPTIONS]",
    _system,
    Flag("all", "a", BOOL, "Remove all unused images, with names too"),
    ONLY,
    FORCE,
    Flag("volumes", "", BOOL, "Remove anonymous volumes too"),
)
