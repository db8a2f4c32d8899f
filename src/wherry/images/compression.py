"""Layers as plain tar bytes: recognised by their first bytes, decompressed in this process, counted and bounded.

Nothing is ever decompressed by a program that an image could have brought along (CVE-2026-41567).
"""

import bz2
import gzip
import io
import lzma
import os
import threading
import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any, BinaryIO, cast

import zstandard

from wherry.model.errors import EngineError, InvalidParameter
from wherry.oci.digest import hasher, split_digest

_GZIP: Any
try:
    from isal.igzip import IGzipFile

    _GZIP = IGzipFile
except ImportError:  # other machines than x86-64 and aarch64: the standard library, at half the speed
    _GZIP = gzip.GzipFile

MAGIC_BYTES = 6
BUFFER_BYTES = 512 * 1024
# The free space is looked at each time so many bytes more have come out.
LOOK_BYTES = 16 * 1024 * 1024
ZSTD_WINDOW_BYTES_MAX = 128 * 1024 * 1024
GZIP_LEVEL = 1


class Compression(StrEnum):
    """How a tar is wrapped."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


_MAGIC = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"BZh", Compression.BZIP2),
    (b"\xfd7zXZ\x00", Compression.XZ),
)


def detect(first_bytes: bytes) -> Compression:
    """The compression that a file's first bytes show."""
    for magic, compression in _MAGIC:
        if first_bytes.startswith(magic):
            return compression
    is_skippable_frame = len(first_bytes) >= 4 and first_bytes[1:4] == b"\x2a\x4d\x18" and first_bytes[0] >> 4 == 5
    return Compression.ZSTD if is_skippable_frame else Compression.NONE


def detect_file(file: BinaryIO) -> Compression:
    """The same for an open file, whose position stays."""
    return detect(os.pread(file.fileno(), MAGIC_BYTES, file.tell()))


def plain(file: BinaryIO) -> BinaryIO:
    """The uncompressed bytes of a seekable file, from its position on."""
    return unwrapped(file, detect_file(file))


def unwrapped(file: BinaryIO, compression: Compression) -> BinaryIO:
    """The uncompressed bytes of a file that need not be seekable. What is damaged shows in reading."""
    match compression:
        case Compression.NONE:
            return file
        case Compression.GZIP:
            return cast("BinaryIO", _GZIP(fileobj=file))
        case Compression.ZSTD:
            decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
            reader = decompressor.stream_reader(file, read_size=BUFFER_BYTES, read_across_frames=True, closefd=False)
            return cast("BinaryIO", reader)
        case Compression.BZIP2:
            return cast("BinaryIO", bz2.BZ2File(file))
        case Compression.XZ:
            return cast("BinaryIO", lzma.LZMAFile(file))


def compressor(target: BinaryIO) -> BinaryIO:
    """A writer that gzips into `target`, the same bytes for the same input."""
    opened = _GZIP(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=target, mtime=0)
    return cast("BinaryIO", opened)


class Cancelled(Exception):
    """The verb that wanted these bytes has gone."""


class Plain(io.RawIOBase):
    """A reader of uncompressed bytes that hashes and bounds them. `directory` is where they will take space."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        diff_id: str = "",
        directory: int | str = "/",
        reserve_bytes: int = 0,
        cancelled: threading.Event | None = None,
        on_input: Callable[[int], None] | None = None,
    ) -> None:
        """Read `file` from its position on; `on_input` is told how many of its own bytes were used up."""
        self._file = file
        self._source = plain(file)
        self._hash = hasher(split_digest(diff_id)[0] if diff_id else "sha256")
        self._algorithm = split_digest(diff_id)[0] if diff_id else "sha256"
        self._directory = directory
        self._reserve_bytes = reserve_bytes
        self._cancelled = cancelled or threading.Event()
        self._on_input = on_input
        self.count = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # what io passes on
        """Some more bytes. Raises InvalidParameter for damaged input, EngineError for a full disk, Cancelled."""
        if self._cancelled.is_set():
            raise Cancelled
        view = memoryview(buffer)[:BUFFER_BYTES]
        count = self._read(view)
        self._hash.update(view[:count])
        before, self.count = self.count, self.count + count
        if before // LOOK_BYTES != self.count // LOOK_BYTES or not before:
            self._check_space()
        if self._on_input is not None:
            self._on_input(self._file.tell())
        return count

    def drain(self) -> str:
        """Read what is left, which a tar reader may leave behind; the digest of all."""
        scratch = bytearray(BUFFER_BYTES)
        while self.readinto(scratch):
            pass
        return f"{self._algorithm}:{self._hash.hexdigest()}"

    def _read(self, view: memoryview) -> int:
        # The decompressors read into a buffer, but their types do not say so.
        try:
            return cast("io.RawIOBase", self._source).readinto(view) or 0
        except EOFError:
            raise InvalidParameter("unexpected EOF") from None
        except (zlib.error, zstandard.ZstdError, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
            raise InvalidParameter(f"damaged layer: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise InvalidParameter(f"damaged layer: {error}") from error  # bz2 and gzip say so without an errno

    def _check_space(self) -> None:
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < self._reserve_bytes:
            raise EngineError(f"no space left on device: {found.f_bavail * found.f_frsize} bytes are kept in reserve")
