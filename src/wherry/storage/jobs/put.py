"""The job that unpacks a tar into a directory of a container.

Standard input is a socket. One packet on it brings what the tar comes by, with the word that says how: the reading end
of a pipe, or a client's connection and a file with what was read from that already. Should the socket be closed,
nobody has a tar any more.
"""

import os
import socket
import stat
from collections.abc import Sequence

from wherry.storage import confine, paths
from wherry.storage.extract import Extractor, Rules
from wherry.storage.framing import FramingError
from wherry.storage.jobs.inside import enter
from wherry.storage.jobs.report import DONE, Refused, run
from wherry.storage.source import ConnectionSource, PipeSource, Source
from wherry.storage.tarstream import RecordStream

PLAIN = b"plain"
CHUNKED = b"chunked"
_WORD_BYTES_MAX = 32


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
    source = _source()
    if source is None:
        return b"gone\0"
    stream = RecordStream(source)
    try:
        Extractor(root, target, Rules(same_kind=same_kind == "1", owner=owner)).apply(stream)
        stream.drain()
    except FramingError as error:
        raise Refused(str(error)) from None
    return DONE


def _source() -> Source | None:
    with socket.socket(fileno=0) as control:
        word, fds, _, _ = socket.recv_fds(control, _WORD_BYTES_MAX, 2)
    if not fds:
        return None
    if word == PLAIN:
        return PipeSource(fds[0])
    connection, already = fds
    with open(already, "rb", buffering=0) as file:
        return ConnectionSource(connection, file.read(), None if word == CHUNKED else int(word))


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
