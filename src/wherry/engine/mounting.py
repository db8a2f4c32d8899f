"""A container's mounts at its start: its own, with the files and directories that they need on the host."""

import os
from pathlib import Path

from wherry.engine.plan.mounts import mounts
from wherry.engine.plan.spec import Surroundings
from wherry.linux.mountinfo import mount_above, read_mountinfo
from wherry.model.container import Container
from wherry.model.errors import EngineError, InvalidParameter
from wherry.model.volume import MountPoint
from wherry.oci.runtime import Mount

DIRECTORY_MODE = 0o755
_SHARED = ("shared:",)
_SHARED_OR_SLAVE = ("shared:", "master:")
# moby oci_linux.go, ensureShared and ensureSharedOrSlave.
_NEEDED = {"shared": _SHARED, "rshared": _SHARED, "slave": _SHARED_OR_SLAVE, "rslave": _SHARED_OR_SLAVE}


def mounts_of(container: Container, *, files: Path, around: Surroundings) -> tuple[Mount, ...]:
    """The spec's mounts; sources that `-v` names and nobody made are made.

    Blocks. Raises InvalidParameter; EngineError for a bind that cannot be propagated as asked.
    """
    provide_sources(container.mounts)
    _check_propagation(container.mounts)
    return mounts(
        container.host_config,
        container.mounts,
        files=files,
        shm_source=around.shm_source,
        init_path=around.init_path,
        extra=around.extra_mounts,
    )


def check_sources(points: tuple[MountPoint, ...]) -> None:
    """Raise InvalidParameter for a bind of `--mount` whose source is not there, when the container is created."""
    for point in points:
        if point.kind == "bind" and point.must_exist and not os.path.lexists(point.source):
            raise InvalidParameter(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )


def provide_sources(points: tuple[MountPoint, ...]) -> None:
    """Make the sources on the host that `-v` names and nobody made. Blocks. Raises InvalidParameter."""
    check_sources(points)
    for point in points:
        if point.kind == "bind":
            _provide(point.source)


def _check_propagation(points: tuple[MountPoint, ...]) -> None:
    """What a container mounts reaches the host by a shared mount only, and what the host mounts by a slave, too."""
    for point in points:
        needed = _NEEDED.get(point.propagation)
        if point.kind != "bind" or needed is None:
            continue
        found = mount_above(os.path.realpath(point.source), read_mountinfo())
        if not any(field.startswith(needed) for field in found.propagation):
            wanted = "shared" if needed == _SHARED else "shared or slave"
            raise EngineError(f"path {point.source} is mounted on {found.place} but it is not a {wanted} mount")


def _provide(source: str) -> None:
    try:
        os.makedirs(source, mode=DIRECTORY_MODE, exist_ok=True)
    except FileExistsError:
        return  # a file, which is bound as such
    except OSError as error:
        words = f"error while creating mount source path '{source}': mkdir {source}: {(error.strerror or '').lower()}"
        raise InvalidParameter(words) from None
