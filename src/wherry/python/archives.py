"""Tar archives as the API takes and gives them: made of one file or a tree, read back, and their header."""

import base64
import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from wherry import tarlib
from wherry.client.errors import ProtocolError
from wherry.jsontext import decode
from wherry.python.records.container import PathStatus
from wherry.python.records.record import read

STATUS_HEADER = "x-docker-container-path-stat"
PIECE = 1 << 20


def status_in(headers: Mapping[str, str]) -> PathStatus:
    """What the header of an archive says. Raises ProtocolError."""
    try:
        return read(PathStatus, decode(base64.b64decode(headers.get(STATUS_HEADER, ""))))
    except ValueError as error:
        raise ProtocolError(f"the daemon says nothing sensible about the path: {error}") from error


def as_archive(name: str, data: bytes, *, mode: int, uid: int, gid: int) -> bytes:
    """An archive with one regular file, last changed now."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.uid, member.gid = len(data), mode, uid, gid
        member.mtime = time.time()
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def tree(source: Path) -> Iterator[bytes]:
    """A file or directory as an archive, in pieces no larger than its largest file. Raises OSError at once."""
    source.lstat()
    return _pieces(source)


def content_of(archive: bytes, path: str) -> bytes:
    """The content of the regular file that an archive begins with. Raises IsADirectoryError."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        member = opened.next()
        file = opened.extractfile(member) if member is not None and member.isreg() else None
        if file is None:
            raise IsADirectoryError(f"{path} is not a regular file")
        return file.read()


def extract(archive: bytes, directory: Path) -> None:
    """Unpack into `directory` what stays inside of it (tarfile's `data` filter). Raises tarfile.TarError, OSError."""
    try:
        with tarlib.tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            opened.extractall(directory, filter="data")
    except tarlib.tarfile.TarError as error:
        raise error if isinstance(error, tarfile.TarError) else tarfile.TarError(str(error)) from error


class _Buffer(io.RawIOBase):
    """Takes what tarfile writes until it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # whatever has a buffer
        self.held += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self.held)
        self.held.clear()
        return data


def _pieces(source: Path) -> Iterator[bytes]:
    buffer = _Buffer()
    with tarfile.open(fileobj=buffer, mode="w|", bufsize=PIECE) as archive:
        for path in [source, *(sorted(source.rglob("*")) if source.is_dir() and not source.is_symlink() else ())]:
            archive.add(path, arcname=str(path.relative_to(source.parent)), recursive=False)
            yield buffer.take()
    yield buffer.take()
