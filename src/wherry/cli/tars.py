"""Files of this machine as a tar, and the reverse, for `cp`: streamed, and never out of the directory that is meant."""

from __future__ import annotations

import io
import os

from wherry.cli.errors import CommandError
from wherry.tarlib import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

PIECE = 1 << 20
RECORD = 512


def pack(path: str, name: str, *, follow: bool) -> Iterator[bytes]:
    """What stands at `path`, under that name; `follow` takes a symlink at `path` itself for what it leads to."""
    makers = tarfile.TarFile(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT)
    top = os.path.realpath(path) if follow else path
    yield from _entry(makers, top, name)
    yield bytes(2 * RECORD)


def _entry(makers: tarfile.TarFile, path: str, name: str) -> Iterator[bytes]:
    member = makers.gettarinfo(path, name)
    if not member:
        return  # a socket has no form in a tar
    member.mtime = int(member.mtime)
    member.uname = member.gname = ""
    yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if member.isreg():
        yield from _content(path, member.size)
    elif member.isdir():
        for child in sorted(os.listdir(path)):
            yield from _entry(makers, os.path.join(path, child), f"{name}/{child}")


def _content(path: str, size: int) -> Iterator[bytes]:
    """As many bytes as the header says, whatever becomes of the file meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (piece := file.read(min(left, PIECE))):
            yield piece
            left -= len(piece)
    yield bytes(left + -size % RECORD)


def unpack(pieces: Iterable[bytes], directory: str, *, old: str, new: str) -> None:
    """Unpack into a directory; the first step `old` of every name becomes `new`, unless that is empty.

    Files belong to who runs this. Raises CommandError for what would land elsewhere, or replace a directory.
    """
    source: Any = _Reader(pieces)
    with _Tar.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            if new:
                member.name = _renamed(member.name, old, new)
                member.linkname = _renamed(member.linkname, old, new) if member.islnk() else member.linkname
            _check_kind(os.path.join(directory, member.name), member, directory)
            try:
                tar.extract(member, directory, filter=_filter)
            except tarfile.FilterError as error:
                raise CommandError(str(error)) from error


class _Tar(tarfile.TarFile):
    def chown(self, *_: Any) -> None:
        """As docker: what comes out of a container belongs to who takes it out."""


def _filter(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo:
    checked = tarfile.tar_filter(member, directory)
    return checked.replace(mode=member.mode, deep=False)


def _check_kind(path: str, member: tarfile.TarInfo, directory: str) -> None:
    if not os.path.lexists(path):
        return
    there = os.path.isdir(path) and not os.path.islink(path)
    if there == member.isdir():
        if not there:
            os.unlink(path)
        return
    old, new = ("directory", "non-directory") if there else ("non-directory", "directory")
    raise CommandError(f'cannot overwrite {old} "{member.name}" with {new} "{directory}"')


def _renamed(name: str, old: str, new: str) -> str:
    name = name.removeprefix("/")
    if old == "/":
        return f"{new}/{name}" if name else new
    if name == old or name.startswith(f"{old}/"):
        return new + name[len(old) :]
    return name


class _Reader:
    """A stream of pieces as a file that is only read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """As a file's."""
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
