"""A log and its rotated predecessors, opened so that a rotation meanwhile neither hides a line nor shows one twice."""

import os
import struct
import zlib
from itertools import count
from typing import Protocol

from wherry.monitor import squeeze
from wherry.monitor.lognames import COMPRESSED

_BLOCK_BYTES = 65536
_GZIP_BITS = 31
_TAIL = struct.Struct("<II")
_SIZE_MASK = 0xFFFFFFFF
_INODE_AT = len(squeeze.GZIP_EXTRA) + 2


class OpenLog(Protocol):
    """One file of a log that is open. `identity` stays the same whatever it is called, also when it is compressed."""

    identity: int

    def look_again(self) -> None:
        """Read on to where the file ends now."""

    def close(self) -> None:
        """Close what is open."""


class OpenFile:
    """A plain file. `end` is how far it is read now."""

    def __init__(self, fd: int) -> None:
        """Take over the descriptor."""
        status = os.fstat(fd)
        self.fd = fd
        self.identity = status.st_ino
        self.position = 0
        self.end = status.st_size

    def is_same(self, other: "OpenFile") -> bool:
        """Whether another, which was opened before, is the same one, met again under its next name."""
        return os.path.sameopenfile(self.fd, other.fd)

    def prepare(self) -> None:
        """Make ready to be read; may take a while."""

    def read(self, size: int) -> bytes:
        """The next bytes up to `end`; empty when there are none."""
        data = os.pread(self.fd, min(size, self.end - self.position), self.position)
        self.position += len(data)
        return data

    def look_again(self) -> None:
        """Read on to where the file ends now; from its start when it was cut."""
        size = os.fstat(self.fd).st_size
        if size < self.position:
            self.position = 0
        self.end = size

    def skip_to_last(self, records: int) -> int:
        """Move on to the last so many records; how many are left there."""
        end = self.end
        found = 0
        last = os.pread(self.fd, 1, end - 1) if end else b"\n"
        unfinished = last != b"\n"
        while end > 0:
            start = max(0, end - _BLOCK_BYTES)
            block = os.pread(self.fd, end - start, start)
            at = len(block) - 1 if end == self.end and not unfinished else len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                found += not unfinished
                unfinished = False
                if found == records:
                    self.position = start + at + 1
                    return found
            end = start
        return found + (self.end > 0 and not unfinished)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


class GzippedFile(OpenFile):
    """A compressed file: unpacked into a file without a name when it is to be read, as dockerd does."""

    def __init__(self, fd: int, directory: str) -> None:
        """Take over the descriptor."""
        super().__init__(fd)
        self._directory = directory
        self._is_ready = False
        self.identity = _plain_inode(fd) or self.identity

    def is_same(self, other: OpenFile) -> bool:
        """Also when the other has just become this; an inode's number alone may have been given away again."""
        status = os.fstat(other.fd)
        may_be = not isinstance(other, GzippedFile) and status.st_ino == self.identity and not status.st_nlink
        return (may_be and self._was(other.fd)) or super().is_same(other)

    def _was(self, plain: int) -> bool:
        """Whether this is a file's content, by its checksum and length (RFC 1952, 2.3.1)."""
        checksum = size = 0
        while data := os.pread(plain, _BLOCK_BYTES, size):
            checksum = zlib.crc32(data, checksum)
            size += len(data)
        tail = os.pread(self.fd, _TAIL.size, max(0, os.fstat(self.fd).st_size - _TAIL.size))
        return tail == _TAIL.pack(checksum, size & _SIZE_MASK)

    def prepare(self) -> None:
        """Unpack, once. Raises OSError; what is broken ends the file."""
        if self._is_ready:
            return
        self._is_ready = True
        target = os.open(self._directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        unpacker = zlib.decompressobj(_GZIP_BITS)
        try:
            while packed := os.read(self.fd, _BLOCK_BYTES):
                view = memoryview(unpacker.decompress(packed))
                while view:
                    view = view[os.write(target, view) :]
        except zlib.error:
            pass
        except OSError:
            os.close(target)
            raise
        os.close(self.fd)
        self.fd, self.end = target, os.fstat(target).st_size

    def look_again(self) -> None:
        """It has ended."""


class ShiftedFiles:
    """Docker's names: `x` is written, `x.1` came before, `x.2.gz` before that."""

    def __init__(self, path: str) -> None:
        """Of the log at `path`."""
        self._path = path
        self._name = os.path.basename(path).encode()
        self.directory = os.path.dirname(path)

    def concerns(self, name: bytes) -> bool:
        """Whether a change of that directory entry may be news."""
        return name == self._name

    def open(self, *, known: int = 0) -> list[OpenFile]:
        """The files from the oldest on; with `known` only those that came after the file of that identity."""
        files: list[OpenFile] = []
        missing = 0
        # From the newest on: what is renamed meanwhile is met again under its next name, and known by its inode.
        for number in count():
            opened = _open(f"{self._path}.{number}" if number else self._path)
            if opened is None:
                missing += 1
                if missing > 1:  # a single gap is a rotation at work
                    break
            elif opened.identity == known:
                opened.close()
                break
            elif any(opened.is_same(file) for file in files):
                opened.close()
            else:
                files.insert(0, opened)
        return files

    def is_current(self, file: OpenLog) -> bool:
        """Whether a file is still the one that is written."""
        try:
            return not isinstance(file, GzippedFile) and os.stat(self._path).st_ino == file.identity
        except FileNotFoundError:
            return False


def _open(path: str) -> OpenFile | None:
    """The plain file, or else the compressed one: for a moment there are both."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return OpenFile(os.open(path, flags))
    except FileNotFoundError:
        pass
    try:
        return GzippedFile(os.open(f"{path}{COMPRESSED}", flags), os.path.dirname(path))
    except FileNotFoundError:
        return None


def _plain_inode(fd: int) -> int:
    """What the file was before it was compressed by us; 0 when somebody else did that."""
    head = os.pread(fd, _INODE_AT + squeeze.SUBFIELD.size + squeeze.INODE.size, 0)
    try:
        name, _ = squeeze.SUBFIELD.unpack_from(head, _INODE_AT)
        inode = squeeze.INODE.unpack_from(head, _INODE_AT + squeeze.SUBFIELD.size)[0]
    except struct.error:
        return 0
    return int(inode) if name == squeeze.NAME_OF_INODE else 0
