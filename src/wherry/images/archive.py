"""A tar that a stranger made, seen through an index: its members are read where they lie and never become files.

So neither `..`, nor absolute names, nor links in it can reach anything (CVE-2014-9356 and its kin). Links are followed
inside the index only, because archives of older Dockers share layers by symlinks.
"""

import os
import posixpath
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from wherry.images.compression import Compression, Plain, detect_file
from wherry.images.library import Library
from wherry.model.errors import InvalidParameter

MEMBERS_MAX = 100_000
LINKS_MAX = 16
# No header of an honest archive is larger; a PAX bomb is.
HEADER_BYTES_MAX = 1024 * 1024
WRITE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in the archive: where its bytes lie, and how many."""

    offset: int
    size: int


class Archive:
    """An index over a seekable, uncompressed tar."""

    def __init__(self, file: BinaryIO) -> None:
        """Read all headers. Raises InvalidParameter. The file is borrowed."""
        self._file = file
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        try:
            with tarfile.open(fileobj=cast("BinaryIO", _Bounded(file)), mode="r:") as tar:
                self._index(tar)
        except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
            # The words are those of Go's archive/tar, which clients of dockerd know.
            is_cut_off = "truncated" in str(error) or "unexpected end" in str(error)
            raise InvalidParameter("unexpected EOF" if is_cut_off else "archive/tar: invalid tar header") from error

    def _index(self, tar: tarfile.TarFile) -> None:
        kept: list[tarfile.TarInfo] = cast("Any", tar).members
        for _ in range(MEMBERS_MAX):
            member = tar.next()
            if member is None:
                return
            kept.clear()  # tarfile remembers every header
            self._add(member)
        raise InvalidParameter(f"invalid archive: more than {MEMBERS_MAX} members")

    def _add(self, member: tarfile.TarInfo) -> None:
        name = _inside(member.name)
        if member.isreg() and not member.issparse():
            self._members[name] = Member(member.offset_data, member.size)
            self._links.pop(name, None)
        elif member.issym():
            self._links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
        elif member.islnk():
            self._links[name] = member.linkname

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def member(self, name: str) -> Member:
        """A file by its name, links followed. Raises InvalidParameter."""
        found = self._find(name)
        if found is None:
            raise InvalidParameter(f"invalid archive: {name!r} is not in it")
        return found

    def read(self, name: str, *, bytes_max: int) -> bytes:
        """A small file. Raises InvalidParameter."""
        found = self.member(name)
        if found.size > bytes_max:
            raise InvalidParameter(f"invalid archive: {name!r} is larger than {bytes_max} bytes")
        data = os.pread(self._file.fileno(), found.size, found.offset)
        if len(data) != found.size:
            raise InvalidParameter("unexpected EOF")
        return data

    def open(self, name: str) -> BinaryIO:
        """A file of its own for reading one member, from its beginning. Raises InvalidParameter."""
        return cast("BinaryIO", _Window(self._file.fileno(), self.member(name)))

    def _find(self, name: str) -> Member | None:
        path = _inside(name)
        for _ in range(LINKS_MAX):
            if path in self._members:
                return self._members[path]
            if path not in self._links:
                return None
            path = _inside(self._links[path])
        raise InvalidParameter(f"invalid symlink in archive: {name!r}")


class _Bounded:
    """What tarfile reads from: refuses to bring a header of any size into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        """As a file's, within bounds."""
        if not 0 <= size <= HEADER_BYTES_MAX:
            raise InvalidParameter(f"invalid archive: a header of {size} bytes")
        return self._file.read(size)


class _Window:
    """The bytes of one member, read by position so that several may be open."""

    def __init__(self, descriptor: int, member: Member) -> None:
        self._descriptor = descriptor
        self._member = member
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        left = self._member.size - self._position
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._member.offset + self._position)
        if not data and left:
            raise InvalidParameter("unexpected EOF")
        self._position += len(data)
        return data


def _inside(name: str) -> str:
    path = posixpath.normpath(name)
    if path.startswith(("/", "../")) or path == ".." or "\0" in path:
        raise InvalidParameter(f"invalid path in archive: {name!r}")
    return path


async def spool(library: Library, body: AsyncIterator[bytes]) -> BinaryIO:
    """A body from the network as an anonymous file. Raises OSError for a full disk. The caller closes it."""
    file = library.content.scratch()
    try:
        waiting = bytearray()
        async for chunk in body:
            waiting += chunk
            if len(waiting) >= WRITE_BYTES:
                await library.in_thread(_write_all, file, bytes(waiting))
                waiting.clear()
        await library.in_thread(_write_all, file, bytes(waiting))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


async def spool_plain(library: Library, body: AsyncIterator[bytes]) -> BinaryIO:
    """The same, decompressed if it was compressed. Raises InvalidParameter, OSError."""
    file = await spool(library, body)
    if detect_file(file) is Compression.NONE:
        return file
    with file:
        return await library.in_cancellable_thread(
            lambda cancelled: _decompressed(
                library,
                Plain(
                    file,
                    directory=str(library.content.root),
                    reserve_bytes=library.limits.reserve_bytes,
                    cancelled=cancelled,
                ),
            )
        )


def _decompressed(library: Library, source: Plain) -> BinaryIO:
    target = library.content.scratch()
    try:
        while chunk := source.read(WRITE_BYTES):
            _write_all(target, chunk)
        target.seek(0)
    except BaseException:
        target.close()
        raise
    return target


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
