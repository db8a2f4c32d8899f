"""The job that unpacks a tar from standard input into a directory of a container."""

import os
import stat
from collections.abc import Sequence

from wherry.storage import confine, paths
from wherry.storage.extract import Extractor, Rules
from wherry.storage.jobs.inside import enter
from wherry.storage.jobs.report import DONE, Refused, run
from wherry.storage.tarstream import RecordStream


def main() -> None:
    """Run the job."""
    run(_put)


def _put(wanted: str, same_kind: str, uid: str, gid: str, root_is_writable: str, count: str, *rest: str) -> bytes:
    """`rest` is `count` pairs, the container's mount points and whether they are writable, and then the view."""
    points = list(zip(rest[: 2 * int(count) : 2], rest[1 : 2 * int(count) : 2], strict=True))
    root = enter(rest[2 * int(count) :], capabilities=confine.WRITES)
    target = paths.resolve(paths.absolute(os.fsencode(wanted)))
    if not stat.S_ISDIR(os.lstat(target).st_mode):
        raise Refused("extraction point is not a directory")
    _check_writable(target, points, root_is_writable=root_is_writable == "1")
    owner = (int(uid), int(gid)) if int(uid) >= 0 else None
    stream = RecordStream(0)
    Extractor(root, target, Rules(same_kind=same_kind == "1", owner=owner)).apply(stream)
    stream.drain()
    return DONE


def _check_writable(target: bytes, points: Sequence[tuple[str, str]], *, root_is_writable: bool) -> None:
    """The kernel would refuse as well, but later and in its own words."""
    around = [(place, writable) for place, writable in points if _is_in(target, os.fsencode(place))]
    if not around:
        if not root_is_writable:
            raise Refused("container rootfs is marked read-only")
    elif max(around)[1] != "1":
        raise Refused("mounted volume is marked read-only")


def _is_in(path: bytes, place: bytes) -> bool:
    place = b"/" + place.strip(b"/")
    return place in {path, b"/"} or path.startswith(place + b"/")
