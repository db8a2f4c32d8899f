"""The mounts of this process's namespace, as proc_pid_mountinfo(5) lists them."""

import os
from typing import NamedTuple

_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


class MountInfo(NamedTuple):
    """Where something is mounted, and its optional fields such as `shared:5` and `master:3`."""

    place: str
    propagation: tuple[str, ...]


def read_mountinfo() -> str:
    """The whole table. Raises OSError."""
    fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
    with open(fd, encoding="utf-8", errors="surrogateescape") as table:
        return table.read()


def mount_above(path: str, table: str) -> MountInfo:
    """The mount that a path without symlinks is on; of several on one place the last one, which covers the others."""
    found = MountInfo("", ())
    for line in table.splitlines():
        fields = line.split(" ")
        place = unescape(fields[4])
        if len(place) >= len(found.place) and _is_below(path, place):
            found = MountInfo(place, tuple(fields[6 : fields.index("-")]))
    return found


def unescape(path: str) -> str:
    """A path of the table as it is."""
    if "\\" in path:
        for code, character in _ESCAPES:
            path = path.replace(code, character)
    return path


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place if place == "/" else place + "/")
