"""Containers' directories without a record, and records of containers without what they need."""

import asyncio
import os
import shutil

from wherry.engine.create import DIRECTORY_MODE
from wherry.engine.engine import Engine
from wherry.model.container import Container
from wherry.model.errors import Conflict
from wherry.model.finding import Finding
from wherry.model.state import Status

STRAY = "container directory"
LOST = "lost container directory"
BROKEN = "container"
# A file system of its own has one.
_NOT_OURS = "lost+found"


async def audit_containers(engine: Engine) -> list[Finding]:
    """Directories that no container has, and containers without their directory, volumes, or supervisor."""
    there = await asyncio.to_thread(os.listdir, engine.directory("x").parent)
    known = {container.id for container in engine.containers.values()} | engine.in_making
    found = [
        Finding(kind=STRAY, name=str(engine.directory(name)), problem="no record knows it", remedy="remove it")
        for name in sorted(set(there) - known)
        if name != _NOT_OURS
    ]
    return found + [each for container in engine.containers.values() for each in _problems_of(engine, container, there)]


async def mend_container(engine: Engine, finding: Finding) -> None:
    """Do what the finding's remedy says. Raises Conflict when a container has the directory by now, OSError."""
    name = os.path.basename(finding.name)
    if finding.kind == LOST:
        os.mkdir(finding.name, DIRECTORY_MODE)
    elif engine.containers.get(name) is not None or name in engine.in_making:
        raise Conflict(f"{finding.name} is in use by now")
    else:
        await asyncio.to_thread(_remove, finding.name)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _problems_of(engine: Engine, container: Container, there: list[str]) -> list[Finding]:
    found = []
    if container.id not in there and not engine.directory(container.id).is_dir():
        problem = f"container {container.name} lost it, and its log with it"
        name = str(engine.directory(container.id))
        found.append(Finding(kind=LOST, name=name, problem=problem, remedy="make it again, empty"))
    volumes = {volume.name for volume in engine.volumes.list()}
    for name in sorted({mount.name for mount in container.mounts if mount.kind == "volume"} - volumes):
        problem = f"its volume {name} is gone: create a volume of that name, or remove the container"
        found.append(Finding(kind=BROKEN, name=container.name, problem=problem))
    if container.state.status is Status.DEAD:
        problem = "its removal failed: remove it again"
        found.append(Finding(kind=BROKEN, name=container.name, problem=problem))
    return found
