"""The content store: blobs by digest in an OCI image layout, whole and verified or not there at all.

On disk (image-spec image-layout.md)
------------------------------------
```
oci-layout                         {"imageLayoutVersion":"1.0.0"}
index.json                         the manifests of all images, for tools that read layouts; never read by us
blobs/sha256/HEX                   0600; written elsewhere, fsynced, renamed to here
ingest/sha256-HEX                  a download on its way; kept when it breaks off, so that the next goes on
ingest/tmp-…                       bytes whose digest is not known yet; removed at the next start
```
All calls block; callers on an event loop use a thread for all but the smallest.
"""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from wherry.crashpoints import crash_point
from wherry.model.errors import EngineError
from wherry.oci.digest import digest_of, hasher, is_digest, split_digest

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
EMPTY_INDEX = b'{"schemaVersion":2,"manifests":[]}'
# What nobody points at may be of a pull that was broken off: it is kept this long after it came, so that the next
# pull need not fetch it again. What is of no use to a pull is made old at once.
KEEP_SECONDS = 24 * 3600.0
READ_BYTES = 1024 * 1024
ANONYMOUS = "tmp-"


class ContentMismatch(ValueError):
    """Bytes are not what their digest or size says."""


class Content:
    """Blobs under one directory."""

    def __init__(self, root: Path) -> None:
        """Use a directory, made if need be."""
        self.root = root
        self._ingest = root / "ingest"
        # The files that somebody is writing.
        self.busy: set[Path] = set()
        for directory in (root, root / "blobs" / "sha256", self._ingest):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in (("oci-layout", LAYOUT), ("index.json", EMPTY_INDEX)):
            if not (root / name).exists():
                (root / name).write_bytes(data)

    def path(self, digest: str) -> Path:
        """Where a blob is, or would be. Raises DigestError."""
        algorithm, digits = split_digest(digest)
        return self.root / "blobs" / algorithm / digits

    def has(self, digest: str) -> bool:
        """Whether the whole blob is there."""
        return self.path(digest).exists()

    def size(self, digest: str) -> int:
        """Its size in bytes. Raises FileNotFoundError."""
        return self.path(digest).stat().st_size

    def open(self, digest: str) -> BinaryIO:
        """The blob for reading. Raises FileNotFoundError."""
        return self.path(digest).open("rb", buffering=0)

    def read(self, digest: str) -> bytes:
        """A small blob, verified. Raises FileNotFoundError, ContentMismatch."""
        data = self.path(digest).read_bytes()
        if digest_of(data, split_digest(digest)[0]) != digest:
            raise ContentMismatch(f"content of {digest} is damaged: {self.path(digest)}")
        return data

    def add(self, *bodies: bytes) -> list[str]:
        """Keep small blobs, durable on return; their digests."""
        digests = [digest_of(body) for body in bodies]
        missing = {digest: body for digest, body in zip(digests, bodies, strict=True) if not self.has(digest)}
        for digest, body in missing.items():
            with self.write(digest) as ingest:
                ingest.write(body)
                ingest.name()
        for directory in {self.path(digest).parent for digest in missing}:
            _sync_directory(directory)
        return digests

    def resume(self, digest: str) -> "Ingest":
        """Write a blob, going on where an earlier writer stopped. One at a time for each digest."""
        return Ingest(self, self._unfinished(digest), digest, is_kept=True)

    def write(self, expected: str = "") -> "Ingest":
        """Write a blob from its beginning; `expected` is its digest if it is known."""
        return Ingest(self, self._ingest / f"{ANONYMOUS}{secrets.token_hex(8)}", expected, is_kept=False)

    def scratch(self) -> BinaryIO:
        """A file without a name, on the same file system, for what must be seen whole before it is trusted."""
        return tempfile.TemporaryFile(dir=self._ingest, buffering=0)

    def age(self, digest: str) -> None:
        """Have the next start remove a blob if no image needs it then; a missing one is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path(digest), (0, 0))

    def retire(self, digest: str) -> Path | None:
        """Take a blob away at once and cheaply; what is returned is still to be unlinked. None when it is not there."""
        return self._move_aside(self.path(digest))

    def _move_aside(self, path: Path) -> Path | None:
        try:
            crash_point("content.retiring")
            return path.rename(self._ingest / f"{ANONYMOUS}{secrets.token_hex(8)}")
        except FileNotFoundError:
            return None

    def _unfinished(self, digest: str) -> Path:
        return self._ingest / digest.replace(":", "-")

    def remove(self, digest: str) -> None:
        """Remove a blob; a missing one is fine."""
        self.path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Every blob."""
        for directory in (self.root / "blobs").iterdir():
            for file in directory.iterdir():
                digest = f"{directory.name}:{file.name}"
                if is_digest(digest):
                    yield digest

    def unfinished(self) -> list[str]:
        """The digests of downloads that broke off, and of those on their way."""
        names = (file.name.replace("-", ":", 1) for file in self._ingest.iterdir())
        return [name for name in names if is_digest(name)]

    def give_up(self, digest: str) -> Path | None:
        """Take a broken-off download away, as `retire` does with a blob."""
        return self._move_aside(self._unfinished(digest))

    def strangers(self) -> list[Path]:
        """Files that are neither a blob nor a download, and that nobody is writing."""
        found = [file for file in self._ingest.iterdir() if not is_digest(file.name.replace("-", ":", 1))]
        for directory in (self.root / "blobs").iterdir():
            found += [file for file in directory.iterdir() if not is_digest(f"{directory.name}:{file.name}")]
        return sorted(file for file in found if file not in self.busy and file.name != "lost+found")

    def is_whole(self, digest: str) -> bool:
        """Whether a blob is what its digest says, by reading all of it. Raises FileNotFoundError."""
        algorithm, digits = split_digest(digest)
        found = hasher(algorithm)
        with self.open(digest) as file:
            while chunk := file.read(READ_BYTES):
                found.update(chunk)
        return bool(found.hexdigest() == digits)

    def check_space(self, wanted_bytes: int, *, reserve_bytes: int) -> None:
        """Refuse at once what cannot fit on the disk. Raises EngineError."""
        found = os.statvfs(self.root)
        if found.f_bavail * found.f_frsize < wanted_bytes + reserve_bytes:
            raise EngineError(f"write {self._ingest}: no space left on device: {wanted_bytes} bytes are needed")

    def write_index(self, index: bytes) -> None:
        """Replace `index.json`, the view for other tools; not fsynced, as it can be made again. Raises OSError."""
        scratch = self._ingest / f"{ANONYMOUS}{secrets.token_hex(8)}"
        try:
            scratch.write_bytes(index)
            crash_point("content.index-written")
            scratch.replace(self.root / "index.json")
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    def sweep(self, wanted: Collection[str], *, keep_seconds: float = KEEP_SECONDS) -> list[str]:
        """At a start: remove anonymous leftovers, and blobs and downloads that are unwanted and old. Their names."""
        before = time.time() - keep_seconds
        doomed = [file for file in self._ingest.iterdir() if file.name.startswith(ANONYMOUS) or _is_old(file, before)]
        doomed += [path for path in map(self.path, set(self.digests()) - set(wanted)) if _is_old(path, before)]
        for path in doomed:
            path.unlink(missing_ok=True)
        return sorted(path.name for path in doomed)


class Ingest:
    """A blob being written, hashed on the way. Leaving the context closes it."""

    def __init__(self, content: Content, path: Path, digest: str, *, is_kept: bool) -> None:
        """Go on with the file at `path` if it is there; `is_kept` until the next writer otherwise."""
        self._is_kept = is_kept
        self._content = content
        self._path = path
        self._digest = digest
        self._hash = hasher(split_digest(digest)[0] if digest else "sha256")
        content.busy.add(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = 0
        self._read_what_is_there()

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises OSError, for a full disk for example."""
        self._hash.update(data)
        crash_point("content.writing")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self.offset += len(data)

    def restart(self) -> None:
        """Forget what is there and begin at 0."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash = hasher(split_digest(self._digest)[0] if self._digest else "sha256")
        self.offset = 0

    def commit(self) -> str:
        """Make it a blob, visible at once and durable on return; its digest.

        Raises ContentMismatch, and discards the bytes.
        """
        found = self.name()
        _sync_directory(self._content.path(found).parent)
        return found

    def name(self) -> str:
        """The same, but that the name is durable when its directory has been synced."""
        found = f"{split_digest(self._digest)[0] if self._digest else 'sha256'}:{self._hash.hexdigest()}"
        if self._digest and found != self._digest:
            self.discard()
            raise ContentMismatch(f"content is {found}, not {self._digest}")
        if not self._is_kept:
            # Nobody will go on with this one: unless an image comes to need it, the next start may remove it.
            os.utime(self._file, (0, 0))
        os.fsync(self._file)
        crash_point("content.synced")
        target = self._content.path(found)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        self._path.replace(target)
        crash_point("content.named")
        self.close()
        return found

    def discard(self) -> None:
        """Throw the bytes away."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Keep the bytes for a later writer, if there can be one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            if not self._is_kept:
                self._path.unlink(missing_ok=True)
            self._content.busy.discard(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_what_is_there(self) -> None:
        while chunk := os.read(self._file, READ_BYTES):
            self._hash.update(chunk)
            self.offset += len(chunk)


def _is_old(path: Path, before: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < before
    return False


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
