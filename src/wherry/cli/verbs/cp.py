"""`cp`: files between this machine and a container, by the rules of docker's.

What is where decides: into a directory that is there, under its own name; else under the name that the destination
has, which a file replaces; a source that ends in `/.` means what is in the directory (moby go-archive, copy.go).
"""

from __future__ import annotations

import base64
import os
import posixpath

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, Flag, Verb
from wherry.cli.human import size
from wherry.cli.output import complain
from wherry.cli.sources import pieces
from wherry.cli.streams import write_all
from wherry.client import containers
from wherry.client.errors import ApiError
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

STAT_HEADER = "x-docker-container-path-stat"
DIRECTORY = 1 << 31
SYMLINK = 1 << 27
SPECIAL = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21


class Place:
    """One end of a copy: its path, and whether something is there, and a directory."""

    __slots__ = ("exists", "is_directory", "path")

    def __init__(self, path: str, *, exists: bool, is_directory: bool) -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory


class Counted:
    """Pieces on their way, and how many bytes they were."""

    __slots__ = ("_pieces", "bytes")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.bytes += len(piece)
            yield piece


def _cp(session: Session, given: Given, arguments: list[str]) -> int:
    source, target = arguments
    if not source:
        raise CommandError("source can not be empty")
    if not target:
        raise CommandError("destination can not be empty")
    (source_name, source_path), (target_name, target_path) = _split(source), _split(target)
    if source_name and target_name:
        raise CommandError("copying between containers is not supported")
    if not source_name and not target_name:
        raise CommandError("must specify at least one container source")
    quiet = given["quiet"] if "quiet" in given.changed else not terminal.is_terminal(1)
    if source_name:
        count = _out(session, source_name, source_path, target_path, follow=given["follow-link"])
        shown = target_path
    else:
        count = _in(session, target_name, source_path, target_path, given)
        shown = target
    if not quiet and "-" not in (source_path, target_path):
        complain(f"Successfully copied {size(count)} to {shown}")
    return 0


def _split(argument: str) -> tuple[str, str]:
    """Container and path; a path that begins with `/` or `.` is this machine's, whatever colons it has."""
    name, colon, path = argument.partition(":")
    if argument.startswith(("/", ".")) or not colon:
        return "", argument
    return name, path


def _out(session: Session, name: str, path: str, target: str, *, follow: bool) -> int:
    rename = ""
    if follow:
        path, rename = _followed(session, name, path)
    answer = session.client.send(containers.archive(name, path))
    found = _found(answer.head.headers)
    if target == "-":
        for piece in answer:
            write_all(1, piece)
        return 0
    counted = Counted(answer)
    source = Place(path, exists=True, is_directory=bool(found["mode"] & DIRECTORY))
    directory, old, new = _prepared(source, _local(target), rename)
    from wherry.cli.tars import unpack

    unpack(counted, directory, old=_base(path), new=new or (rename if old else ""))
    return counted.bytes


def _in(session: Session, name: str, path: str, target: str, given: Given) -> int:
    place = _remote(session, name, target)
    if path == "-":
        if not place.is_directory:
            raise CommandError(f'destination "{name}:{target}" must be a directory')
        counted = Counted(pieces(0))
        directory = place.path
    else:
        source = _source(path, follow=given["follow-link"])
        directory, old, new = _prepared(source, place, "")
        from wherry.cli.tars import pack

        counted = Counted(pack(path, new or old, follow=given["follow-link"]))
    call = containers.extract(name, directory, counted, keep_kinds=True, chown=given["archive"])
    session.client.send(call).read()
    return counted.bytes


def _prepared(source: Place, target: Place, rename: str) -> tuple[str, str, str]:
    """The directory to unpack into, the name at the beginning of the tar's, and what that becomes (empty: as it is)."""
    old = rename or _base(source.path)
    if target.exists and target.is_directory:
        return target.path, old, rename
    if target.exists and source.is_directory:
        raise CommandError("cannot copy directory")
    if not target.exists and not source.is_directory and target.path.endswith(("/", "/.")):
        raise CommandError("no such directory")
    return _parent(target.path), old, _base(posixpath.normpath(target.path))


def _source(path: str, *, follow: bool) -> Place:
    if path.endswith("/") and os.path.exists(path.rstrip("/")) and not os.path.isdir(path):
        raise CommandError("not a directory")
    wanted = os.path.realpath(path) if follow else os.path.abspath(path)
    try:
        os.lstat(wanted)
    except OSError as error:
        raise CommandError(f"lstat {wanted}: {(error.strerror or '').lower()}") from error
    means_directory = path.endswith("/") or _base(path) == "."
    is_directory = os.path.isdir(path) and (follow or means_directory or not os.path.islink(path))
    return Place(path, exists=True, is_directory=is_directory)


def _local(path: str) -> Place:
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise CommandError(f'invalid output path: directory "{parent}" does not exist')
    real = os.path.realpath(path) + ("/" if path.endswith(("/", "/.")) and not os.path.isdir(path) else "")
    return Place(real, exists=os.path.exists(path), is_directory=os.path.isdir(path))


def _remote(session: Session, name: str, path: str) -> Place:
    found = _stat(session, name, path)
    if found and found["mode"] & SYMLINK:
        path = posixpath.join(_parent(path), found["linkTarget"])
        found = _stat(session, name, path)
    if found and found["mode"] & SPECIAL:
        raise CommandError(f'destination "{name}:{path}" must be a directory or a regular file')
    return Place(path, exists=bool(found), is_directory=bool(found and found["mode"] & DIRECTORY))


def _followed(session: Session, name: str, path: str) -> tuple[str, str]:
    """Where a symlink leads, and the name that it keeps all the same."""
    found = _stat(session, name, path)
    if not found or not found["mode"] & SYMLINK:
        return path, ""
    target = posixpath.join(_parent(path), found["linkTarget"])
    return target, _base(path) if _base(target) != _base(path) else ""


def _stat(session: Session, name: str, path: str) -> dict[str, Any] | None:
    try:
        answer = session.client.send(containers.path_status(name, path))
    except ApiError:
        return None  # what is wrong is said again by what is asked next
    answer.read()
    return _found(answer.head.headers)


def _found(headers: dict[str, str]) -> dict[str, Any]:
    value: dict[str, Any] = decode(base64.b64decode(headers[STAT_HEADER]).decode())
    return value


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or "/"


def _parent(path: str) -> str:
    return posixpath.dirname(posixpath.normpath(path)) or "."


CP = Verb(
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        wherry cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    _cp,
    Flag("archive", "a", BOOL, "Give the files to the container's user"),
    Flag("follow-link", "L", BOOL, "Follow a symbolic link that SRC_PATH is"),
    Flag("quiet", "q", BOOL, "Do not tell how much was copied"),
    arguments=(2, 2),
)
