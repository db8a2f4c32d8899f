"""Mounts of what has no path on the host that could be trusted: parts of volumes, images, another's /dev/shm."""

import os
from contextlib import ExitStack

from msgspec.structs import replace

from wherry.drivers.driver import MountFd, StartFailed
from wherry.engine.engine import Engine
from wherry.engine.joining import namespace_owner
from wherry.model.container import Container
from wherry.model.errors import NotFound
from wherry.model.volume import MountPoint
from wherry.storage.worker import reach
from wherry.volumes.inside import open_subpath

NOT_FOUND = 127
SHM = "/dev/shm"  # noqa: S108 - the containers'


class Missing(StartFailed):
    """What should be mounted is not there; dockerd answers 500 to that."""

    status = 500


def open_inner_mounts(engine: Engine, container: Container, held: ExitStack) -> tuple[Container, tuple[MountFd, ...]]:
    """The container with paths by descriptor, and detached mounts where there is no path at all.

    Paths are good until `held` is closed; the mounts are the caller's. Blocks. Raises EngineError.
    """
    points: list[MountPoint] = []
    given: list[MountFd] = []
    try:
        for point in container.mounts:
            fd = _open(engine, point, held)
            if fd is not None and point.kind == "image" and not point.subpath:
                given.append(MountFd(destination=point.destination, fd=os.dup(fd)))
            points.append(point if fd is None else replace(point, source=f"/proc/self/fd/{fd}"))
        given += _shared_memory(engine, container)
    except BaseException:
        for each in given:
            os.close(each.fd)
        raise
    return replace(container, mounts=tuple(points)), tuple(given)


def _shared_memory(engine: Engine, container: Container) -> list[MountFd]:
    """The /dev/shm of the container whose IPC namespace is joined: it is in no other mount namespace than its own."""
    owner = namespace_owner(engine, container, "ipc")
    if owner is None or owner.host_config.ipc_mode == "host":
        return []
    namespace = os.open(f"/proc/{owner.state.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return [MountFd(destination=SHM, fd=reach(namespace, SHM))]
    finally:
        os.close(namespace)


def _open(engine: Engine, point: MountPoint, held: ExitStack) -> int | None:
    if point.kind == "image":
        root = held.enter_context(engine.storage.open(point.source, read_only=True))
        return _below(root.fd, point, held) if point.subpath else root.fd
    if point.kind == "volume" and point.subpath:
        try:
            return held.enter_context(engine.volumes.open(point.name, point.subpath))
        except NotFound:
            raise _missing(f"{point.source}/{point.subpath}") from None
    return None


def _below(root: int, point: MountPoint, held: ExitStack) -> int:
    try:
        fd = open_subpath(root, point.subpath)
    except NotFound:
        raise _missing(f"{point.name}/{point.subpath}") from None
    held.callback(os.close, fd)
    return fd


def _missing(path: str) -> Missing:
    return Missing(f"cannot access path {path}: lstat {path}: no such file or directory", NOT_FOUND)
