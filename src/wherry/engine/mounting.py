"""A container's mounts at its start: its own, with the files and directories that they need on the host."""

import os
from pathlib import Path

from wherry.engine.plan.mounts import mounts
from wherry.engine.plan.spec import Surroundings
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.model.volume import MountPoint
from wherry.oci.runtime import Mount

DIRECTORY_MODE = 0o755


def mounts_of(container: Container, *, files: Path, around: Surroundings) -> tuple[Mount, ...]:
    """The spec's mounts; sources that `-v` names and nobody made are made. Blocks. Raises InvalidParameter."""
    provide_sources(container.mounts)
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


def _provide(source: str) -> None:
    try:
        os.makedirs(source, mode=DIRECTORY_MODE, exist_ok=True)
    except FileExistsError:
        return  # a file, which is bound as such
    except OSError as error:
        words = f"error while creating mount source path '{source}': mkdir {source}: {(error.strerror or '').lower()}"
        raise InvalidParameter(words) from None
