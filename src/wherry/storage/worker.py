"""Starts the worker process for one job: a bare interpreter that shares nothing with the daemon but descriptors.

Layers come from strangers, and the daemon holds everybody's containers; so what reads a layer runs elsewhere, and a
tree of a million files costs the daemon's own loop nothing.
"""

import errno
import fcntl
import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import wherry
from wherry.model.errors import EngineError, InvalidParameter

Process = subprocess.Popen[bytes]

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "__import__('wherry.storage.jobs.' + sys.argv[2], fromlist=['main']).main()"
)
_PACKAGES = str(Path(wherry.__file__).resolve().parent.parent)
_PIECE = 1 << 20
_REPORT_PART_MAX = 8192
# What the machine lacks is not the layer's fault.
_OUR_FAULT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EPERM}


class _WorkerError(EngineError):
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
    with _started("apply", root, lower, int(is_full), inherited=(root, lower), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        _pump(tar, process.stdin.fileno())
        process.stdin.close()
        try:
            return _read_report(process, on_opaque)
        except _WorkerError as error:
            if error.number in _OUR_FAULT:
                raise
            raise InvalidParameter(str(error)) from None


def copy(source: int, target: int) -> None:
    """Copy a whole tree. Raises EngineError."""
    with _started("copy", source, target, inherited=(source, target)) as process:
        _read_report(process)


def mount_overlay(lowers: Sequence[Path], upper: Path | None, work: Path | None, options: str) -> int:
    """Mount overlayfs the old way, in a mount namespace of the worker's own, and detach it. Raises EngineError."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        paths = [str(path) for path in (upper or "", work or "", *lowers)]
        with _started("mount", theirs.fileno(), options, *paths, inherited=(theirs.fileno(),)) as process:
            theirs.close()
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1, socket.MSG_CMSG_CLOEXEC)
            _read_report(process)
    return descriptors[0]


@contextmanager
def diff(kind: str, new: int, old: int) -> Iterator[BinaryIO]:
    """The changes of a tree as a layer tar; `kind` is `overlay` or `trees`, `old` the parent's tree or -1.

    Reading its end raises EngineError when the worker did not get there.
    """
    with (
        _started("diff", kind, new, old, inherited=(new, old), stdout=subprocess.PIPE) as process,
        io.BufferedReader(_Tar(process), _PIECE) as tar,
    ):
        yield tar


class _Tar(io.RawIOBase):
    """The worker's output; its end is an end only when the worker says that all went well."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._pipe = process.stdout.fileno()
        self._is_checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - anything with a writable buffer
        """RawIOBase's own. Raises EngineError."""
        count = os.readv(self._pipe, [buffer])
        if not count and not self._is_checked:
            _read_report(self._process)
            self._is_checked = True
        return count


@contextmanager
def _started(
    job: str,
    *arguments: str | int,
    inherited: Sequence[int],
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[Process]:
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, _PACKAGES, job, *map(str, arguments)]
    descriptors = [number for number in inherited if number >= 0]
    process = subprocess.Popen(
        command,
        bufsize=0,
        env=_environment(),
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        pass_fds=descriptors,
        cwd="/",
    )
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def _environment() -> dict[str, str]:
    """Only what an interpreter may need to find its own libraries."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _pump(tar: BinaryIO, pipe: int) -> None:
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIECE)
    while piece := tar.read(_PIECE):
        view = memoryview(piece)
        while view:
            try:
                view = view[os.write(pipe, view) :]
            except BrokenPipeError:
                return  # it found fault, and says so in its report


def _read_report(process: Process, on_opaque: Callable[[bytes], None] | None = None) -> Applied:
    """`ok BYTES INODES`, then opaque directories, each ended by NUL; or `error ERRNO MESSAGE`."""
    assert process.stderr is not None
    text = b""
    result: Applied | None = None
    while piece := process.stderr.read(_PIECE):
        *complete, text = (text + piece).split(b"\0")
        for part in complete:
            if result is None:
                result = _parse_success(part)
            elif on_opaque is not None:
                on_opaque(part)
        if len(text) > _REPORT_PART_MAX:
            process.kill()
    if result is None or text:
        raise _failure(text, process.wait())
    return result


def _parse_success(part: bytes) -> Applied:
    word, size, inodes = part.split()
    if word != b"ok":
        raise EngineError(f"the storage worker said {word!r}")
    return Applied(int(size), int(inodes))


def _failure(text: bytes, code: int) -> EngineError:
    word, _, rest = text.partition(b" ")
    number, _, message = rest.partition(b" ")
    if word != b"error" or not number.isdigit():
        said = text.decode(errors="backslashreplace").strip().rpartition("\n")[2]
        return _WorkerError(f"the storage worker ended with {code}: {said or 'it said nothing'}", errno.EIO)
    return _WorkerError(message.decode(), int(number))
