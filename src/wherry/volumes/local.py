"""The default volume driver: directories under `DATA_ROOT/volumes`, or what their options mount there.

On disk: `<root>/<name>/_data` (0755) in `<root>/<name>` (0701) in `<root>` (0701), as dockerd. The sticky
bit on `<root>/<name>` says that the volume counts only if a record knows it: it is being made or removed. It is a bit
and no file, because a full disk must not keep a volume from being removed. `<root>/.removed-<random>` is one on its
way to be deleted.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from wherry.crashpoints import crash_point
from wherry.linux import tree
from wherry.model.errors import EngineError, InvalidParameter, NotFound
from wherry.model.finding import Finding
from wherry.volumes import audit
from wherry.volumes.mounting import check_options, is_mounted, mount_volume, needs_mount, unmount_volume

_ROOT_MODE = 0o701
_DATA_MODE = 0o755
_NAME_MAX = 255  # of a directory entry
_CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(_CHARACTERS + "+")


class Local:
    """Volumes as directories of this host."""

    name = "local"
    scope = "local"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = Lock()
        self._purging = Lock()
        self._holders: dict[str, set[str]] = {}
        root.mkdir(mode=_ROOT_MODE, parents=True, exist_ok=True)
        root.chmod(_ROOT_MODE)

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """See VolumeDriver."""
        if len(name) == 1:
            raise InvalidParameter("volume name is too short, names should be at least two alphanumeric characters")
        if not _NAME.fullmatch(name):
            raise InvalidParameter(
                f'"{name}" includes invalid characters for a local volume name, only "{_CHARACTERS}" are allowed. '
                "If you intended to pass a host directory, use absolute path"
            )
        if len(name) > _NAME_MAX:
            raise InvalidParameter(
                f'"{name}" is too long for a volume name, at most {_NAME_MAX} characters are allowed'
            )
        check_options(options)

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """See VolumeDriver."""
        self.check(name, options)
        place = self._root / name
        try:
            place.mkdir(mode=_ROOT_MODE)
            place.chmod(_ROOT_MODE)
        except FileExistsError:
            pass  # a crash between the directory and its record, or two creations at once
        crash_point("volume.place-made")
        data = place / "_data"
        if not data.is_dir():
            _mark(place, unsure=True)
            crash_point("volume.marked")
            data.mkdir(mode=_DATA_MODE)
            data.chmod(_DATA_MODE)
        crash_point("volume.data-made")
        for directory in (place, self._root):
            _sync_directory(directory)

    def confirm(self, name: str) -> None:
        """See VolumeDriver."""
        # Should a power cut bring the mark back, the record is there all the same.
        _mark(self._root / name, unsure=False)

    def recover(self, known: Mapping[str, Mapping[str, str]]) -> list[str]:
        """See VolumeDriver."""
        removed = []
        for place in [place for place in self._root.iterdir() if not place.name.startswith(audit.REMOVED_PREFIX)]:
            if place.name in known:
                self.confirm(place.name)
                self._unmount_unheld(place.name, known[place.name])
            elif place.stat().st_mode & stat.S_ISVTX or _is_empty(place):
                self.remove(place.name)
                removed.append(place.name)
        self.purge()
        return removed

    def doom(self, name: str) -> None:
        """See VolumeDriver."""
        with self._lock:
            self._unmount(name)
        place = self._root / name
        if place.exists():
            _mark(place, unsure=True)
            _sync_directory(place)

    def mountpoint(self, name: str) -> str:
        """See VolumeDriver."""
        return str(self._root / name / "_data")

    def acquire(self, name: str, holder: str, options: Mapping[str, str]) -> None:
        """See VolumeDriver."""
        with self._lock:
            # What a daemon before this one mounted is still there for its containers.
            if needs_mount(options) and not is_mounted(self.mountpoint(name)):
                mount_volume(self.mountpoint(name), options)
                crash_point("volume.mounted")
            self._holders.setdefault(name, set()).add(holder)

    def release(self, name: str, holder: str, options: Mapping[str, str]) -> None:
        """See VolumeDriver."""
        with self._lock:
            holders = self._holders.get(name, set())
            holders.discard(holder)
            if holders:
                return
            self._holders.pop(name, None)
            if needs_mount(options) and is_mounted(self.mountpoint(name)):
                unmount_volume(self.mountpoint(name))

    def _unmount_unheld(self, name: str, options: Mapping[str, str]) -> None:
        with self._lock:
            if name not in self._holders and needs_mount(options) and is_mounted(self.mountpoint(name)):
                unmount_volume(self.mountpoint(name))

    @contextmanager
    def open(self, name: str) -> Iterator[int]:
        """See VolumeDriver."""
        path = self.mountpoint(name)
        try:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"get {name}: no such volume") from None
        try:
            yield fd
        finally:
            os.close(fd)

    def usage(self, name: str) -> int:
        """See VolumeDriver."""
        with self.open(name) as directory:
            return tree.measure(directory)[0]

    def remove(self, name: str) -> None:
        """See VolumeDriver. Raises EngineError when something of it is still mounted."""
        with self._lock:
            self._unmount(name)
            with suppress(FileNotFoundError):
                (self._root / name).rename(self._root / f"{audit.REMOVED_PREFIX}{secrets.token_hex(8)}")

    def _unmount(self, name: str) -> None:
        if is_mounted(self.mountpoint(name)):
            if self._holders.get(name):
                raise EngineError("volume has active mounts")
            unmount_volume(self.mountpoint(name))

    def audit(self, volumes: Mapping[str, Mapping[str, str]]) -> list[Finding]:
        """See VolumeDriver."""
        with self._lock:
            return audit.audit(self._root, volumes, set(self._holders))

    def mend(self, finding: Finding) -> None:
        """See VolumeDriver."""
        with self._lock:
            audit.mend(self._root, finding)
        self.purge()

    def purge(self) -> None:
        """See VolumeDriver."""
        with self._lock:
            doomed = [place.name for place in self._root.iterdir() if place.name.startswith(audit.REMOVED_PREFIX)]
        with self._purging:
            root = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in doomed:
                    if (self._root / name).exists():  # no other purge was quicker
                        tree.remove(root, name)
            finally:
                os.close(root)


def _is_empty(place: Path) -> bool:
    """A crash came right after the directory was made."""
    return place.is_dir() and not any(place.iterdir())


def _mark(place: Path, *, unsure: bool) -> None:
    """Raises OSError; a place that is gone is fine."""
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(place.stat().st_mode)
        place.chmod(mode | stat.S_ISVTX if unsure else mode & ~stat.S_ISVTX)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
