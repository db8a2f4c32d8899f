"""Limits on what a snapshot may take: each has a project of its own, which the file system below counts and limits.

XFS does that when it is mounted with `pquota`. Beside the limited directories, `fs` and `work`, there lies a marker in
the snapshot's place, the empty file `quota`: it belongs to the same project, and unlike them no container can reach it
and put it into another. So the file system itself remembers who has which project, whatever kills the daemon: a project
is free when nothing belongs to it and nothing limits it, and a limit goes before the marker does. The place itself
stays in the project of the driver's directory, because nothing can be moved into a directory of another.

As dockerd (moby `quota/projectquota.go`) we use only projects above that of the driver's directory, where an
administrator may set one (`xfs_quota -x -c 'project -s …'`), and none that anybody else uses.
"""

import os
from contextlib import suppress
from errno import ENOENT, ENOSPC
from pathlib import Path
from threading import Lock

from wherry.linux.quota import (
    enforces_projects,
    limit_project,
    project_of,
    project_use,
    put_into_project,
    take_all_projects,
)
from wherry.model.errors import EngineError, InvalidParameter
from wherry.model.units import parse_bytes
from wherry.storage.rootfs import opened

MARKER = "quota"
_LIMITED = ("fs", "work")
_PROJECT_MAX = (1 << 32) - 2


def parse_size(text: str) -> int:
    """The bytes of an option `size`. Raises EngineError: for dockerd it is no mistake of the request, but a failure."""
    try:
        return parse_bytes(text)
    except InvalidParameter as error:
        raise EngineError(str(error)) from None


class Quotas:
    """The limits of the snapshots below a driver's directory. Safe from any thread."""

    def __init__(self, root: Path, trash: Path) -> None:
        self._root = root
        self._lock = Lock()
        self._next = 1
        self.enforced = False
        with suppress(OSError), opened(root) as fd:
            self.enforced = enforces_projects(fd)
        if self.enforced:
            with opened(root) as fd, opened(trash) as trash_fd:
                self._next = project_of(fd) + 1
                # What lies very deep is moved up before it is deleted.
                take_all_projects(trash_fd)

    def limit(self, place: Path, bytes_max: int) -> None:
        """Limit what the directories of a place that is being made may take. Raises OSError."""
        with opened(self._root) as root:
            project = self._mark(root, place)
            limit_project(root, project, bytes_max)
        for name in _LIMITED:
            if (place / name).is_dir():
                _take_in(place / name, project)

    def renew(self, directory: Path) -> None:
        """Have a directory that was made again belong where its snapshot's others do. Raises OSError."""
        project = self._project_of(directory.parent)
        if project is not None:
            _take_in(directory, project)

    def release(self, place: Path) -> None:
        """Take away the limit of a place that is about to be deleted. Raises OSError."""
        project = self._project_of(place)
        if project is None:
            return
        # Should quotas be off by now, the limit stays, and so the project is never used again.
        with opened(self._root) as root, suppress(OSError):
            limit_project(root, project, 0)

    def _mark(self, root: int, place: Path) -> int:
        """Make the marker: from then on its project is taken."""
        marker = os.open(place / MARKER, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with self._lock:
                project = _first_free(root, self._next)
                put_into_project(marker, project)
                self._next = project + 1
        finally:
            os.close(marker)
        return project

    def _project_of(self, place: Path) -> int | None:
        """The project of a place's own, if it has one."""
        if not self.enforced:
            return None
        try:
            marker = os.open(place / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            with opened(place) as fd:
                project, around = project_of(marker), project_of(fd)
        finally:
            os.close(marker)
        # A marker is in the project of the place until it is put into its own.
        return None if project == around else project


def _first_free(root: int, first: int) -> int:
    for project in range(first, _PROJECT_MAX + 1):
        if not _is_taken(root, project):
            return project
    raise OSError(ENOSPC, f"no project above {first} is free")


def _is_taken(root: int, project: int) -> bool:
    try:
        use = project_use(root, project)
    except OSError as error:
        if error.errno != ENOENT:
            raise
        return False
    return bool(use.inodes or use.bytes or use.bytes_max or use.inodes_max)


def _take_in(directory: Path, project: int) -> None:
    with opened(directory) as fd:
        put_into_project(fd, project, inherits=True)
