"""What workers do for the daemon, a function for each job, and how they report.

Layers come from strangers, and the daemon holds everybody's containers; so what reads a layer runs elsewhere, and a
tree of a million files costs the daemon's own loop nothing.
"""

import errno
import fcntl
import io
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wherry.model.errors import EngineError, InvalidParameter
from wherry.storage.jobs import capture as job
from wherry.storage.jobs.capture import Captured
from wherry.storage.jobs.report import told
from wherry.storage.tarnumbers import TarError
from wherry.storage.workforce import Argument, Descriptor, Worker, working

_PIECE = 1 << 20
_REPORT_PART_MAX = 8192
# What the machine lacks is not the layer's fault.
_OUR_FAULT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EPERM}


class WorkerFailed(EngineError):
    """What a worker reported, with its errno; 0 for a layer that is no tar."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class Applied:
    """What a layer brought: bytes of files and number of inodes."""

    __slots__ = ("bytes", "inodes")

    def __init__(self, size: int, inodes: int) -> None:
        self.bytes = size
        self.inodes = inodes


def apply(
    tar: BinaryIO,
    root: int,
    *,
    lower: int = -1,
    is_full: bool = False,
    on_opaque: Callable[[bytes], None] | None = None,
) -> Applied:
    """Unpack a layer into the directory `root`; `on_opaque` hears which directories must hide their lower ones.

    Raises InvalidParameter for what is wrong with the layer, EngineError for what is wrong with the machine, and
    whatever `tar.read` raises.
    """
    with working("apply", Descriptor(root), _or_none(lower), int(is_full), feeds=True) as worker:
        assert worker.stdin is not None
        _pump(tar, worker.stdin.fileno())
        worker.stdin.close()
        try:
            return _read_report(worker, on_opaque)
        except WorkerFailed as error:
            if error.number in _OUR_FAULT:
                raise
            raise InvalidParameter(str(error)) from None


def copy(source: int, target: int) -> None:
    """Copy a whole tree. Raises EngineError."""
    with working("copy", Descriptor(source), Descriptor(target)) as worker:
        _read_report(worker)


def mount_overlay(lowers: Sequence[Path], upper: Path | None, work: Path | None, options: str) -> int:
    """Mount overlayfs the old way, in a mount namespace of the worker's own, and detach it. Raises EngineError."""
    paths = [str(path) for path in (upper or "", work or "", *lowers)]
    return _sent("mount", options, *paths)


def reach(namespace: int, path: str) -> int:
    """A detached copy of what is mounted at `path` in another mount namespace, given by its descriptor.

    Raises EngineError.
    """
    return _sent("reach", Descriptor(namespace), path)


def _sent(job: str, *arguments: Argument) -> int:
    """The descriptor that a job sends over the socket which is its first argument."""
    ours, theirs = socket.socketpair()
    with ours, theirs, working(job, Descriptor(theirs.fileno()), *arguments) as worker:
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1, socket.MSG_CMSG_CLOEXEC)
        _read_report(worker)
    return descriptors[0]


def capture(kind: str, new: int, old: int, target: int) -> Captured:
    """Copy what a tree has over its parent's into an empty directory; `kind` as for `diff`. Raises EngineError.

    Of an overlay that is small the caller's own thread does it, which is sooner than a process has begun, and leaves
    it to be synced.
    """
    try:
        if kind == "overlay" and job.is_small(new):
            return job.capture(kind, new, old, target)
    except (TarError, OSError) as error:
        raise failure(told(error)) from error
    with working("capture", kind, Descriptor(new), _or_none(old), Descriptor(target)) as worker:
        parts: list[bytes] = []
        found = _read_report(worker, parts.append)
    return Captured(parts[0].decode(), int(parts[1]), found.bytes, found.inodes, is_synced=True)


def measure(kind: str, new: int, old: int) -> tuple[int, int]:
    """Bytes and inodes of what a tree has over its parent's; `kind` as for `diff`. Raises EngineError."""
    with working("measure", kind, Descriptor(new), _or_none(old)) as worker:
        found = _read_report(worker)
    return found.bytes, found.inodes


def changes(kind: str, new: int, old: int) -> Iterator[tuple[str, str]]:
    """Each change of a tree over its parent's: A, C or D, and the path; `kind` as for `diff`. Raises EngineError."""
    with working("changes", kind, Descriptor(new), _or_none(old), reads=True) as worker:
        assert worker.stdout is not None
        text = b""
        while piece := worker.stdout.read(_PIECE):
            *complete, text = (text + piece).split(b"\0")
            for part in complete:
                yield chr(part[0]), os.fsdecode(part[1:])
        _read_report(worker)


@contextmanager
def diff(kind: str, new: int, old: int) -> Iterator[BinaryIO]:
    """The changes of a tree as a layer tar; `kind` is `overlay` or `trees`, `old` the parent's tree or -1.

    Reading its end raises EngineError when the worker did not get there.
    """
    with (
        working("diff", kind, Descriptor(new), _or_none(old), reads=True) as worker,
        io.BufferedReader(_Tar(worker), _PIECE) as tar,
    ):
        yield tar


class _Tar(io.RawIOBase):
    """The worker's output; its end is an end only when the worker says that all went well."""

    def __init__(self, worker: Worker) -> None:
        assert worker.stdout is not None
        self._worker = worker
        self._pipe = worker.stdout.fileno()
        self._is_checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - anything with a writable buffer
        """RawIOBase's own. Raises EngineError."""
        count = os.readv(self._pipe, [buffer])
        if not count and not self._is_checked:
            _read_report(self._worker)
            self._is_checked = True
        return count


def _or_none(fd: int) -> Descriptor | int:
    return Descriptor(fd) if fd >= 0 else fd


def _pump(tar: BinaryIO, pipe: int) -> None:
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIECE)
    while piece := tar.read(_PIECE):
        view = memoryview(piece)
        while view:
            try:
                view = view[os.write(pipe, view) :]
            except BrokenPipeError:
                return  # it found fault, and says so in its report


def _read_report(worker: Worker, on_opaque: Callable[[bytes], None] | None = None) -> Applied:
    """`ok BYTES INODES`, then opaque directories, each ended by NUL; or `error ERRNO MESSAGE`."""
    text = b""
    result: Applied | None = None
    while piece := worker.report.read(_PIECE):
        *complete, text = (text + piece).split(b"\0")
        for part in complete:
            if result is None:
                result = _parse_success(part)
            elif on_opaque is not None:
                on_opaque(part)
        if len(text) > _REPORT_PART_MAX:
            break
    if result is None or text:
        raise failure(text)
    return result


def _parse_success(part: bytes) -> Applied:
    word, size, inodes = part.split()
    if word != b"ok":
        raise EngineError(f"the storage worker said {word!r}")
    return Applied(int(size), int(inodes))


def failure(text: bytes) -> WorkerFailed:
    """What a worker said instead of success, as an error."""
    word, _, rest = text.partition(b" ")
    number, _, message = rest.partition(b" ")
    if word != b"error" or not number.isdigit():
        said = text.decode(errors="backslashreplace").strip().rpartition("\n")[2]
        return WorkerFailed(f"the storage worker ended before its work: {said or 'it said nothing'}", errno.EIO)
    return WorkerFailed(message.decode(), int(number))
