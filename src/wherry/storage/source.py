"""Where a worker's tar comes from: a pipe, or a client's connection with its framing."""

import errno
import fcntl
import os
from typing import Protocol

from wherry.storage.framing import UNEXPECTED_EOF, FramedBody, FramingError, drop

PIPE_BYTES = 1 << 20
_SPLICE_MIN = 1 << 16
_PIECES_MAX = 512
# What splice(2) says where there is no pipe, or a file system that takes no pages.
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EPERM}


class Source(Protocol):
    """A stream of bytes."""

    def read(self, size: int) -> bytes:
        """At most so many bytes, nothing at the end. Raises OSError, FramingError."""

    def move(self, out: int, size: int) -> int:
        """Write at most so many bytes to a file; how many: there may be more to read. Raises as `read`."""


class PipeSource:
    """A pipe or a file, to its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._splices = True

    def read(self, size: int) -> bytes:
        """See Source."""
        return os.read(self._fd, size)

    def move(self, out: int, size: int) -> int:
        """See Source: what the kernel can move by itself."""
        done = 0
        while self._splices and size - done >= _SPLICE_MIN:
            try:
                moved = os.splice(self._fd, out, size - done)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                self._splices = False
                break
            if not moved:
                break
            done += moved
        return done


class ConnectionSource:
    """A client's connection, which blocks, to the end of the body that comes by it.

    `rest` is what was read of the body already, `length` how many bytes it has, None for chunks.
    """

    def __init__(self, connection: int, rest: bytes, length: int | None) -> None:
        self._connection = connection
        self._body = FramedBody(self._receive, rest, length)
        self._from_pipe, self._to_pipe = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(self._to_pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read(self, size: int) -> bytes:
        """See Source."""
        return bytes(self._body.take(size)) if self._body.goes_on() else b""

    def move(self, out: int, size: int) -> int:
        """See Source: all of it, unless the body ends before."""
        left = size
        while left and self._body.goes_on():
            if large := min(left, self._body.unread(), PIPE_BYTES):
                left -= self._splice(out, large)
            else:
                left -= _write(out, self._body.take_many(left))
        return size - left

    def _splice(self, out: int, size: int) -> int:
        """By way of a pipe, as the kernel wants one on either side."""
        try:
            moved = os.splice(self._connection, self._to_pipe, size)
        except ConnectionError:
            moved = 0
        if not moved:
            raise FramingError(UNEXPECTED_EOF)
        self._body.moved(moved)
        left = moved
        while left:
            try:
                left -= os.splice(self._from_pipe, out, left)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                left -= _write(out, [memoryview(os.read(self._from_pipe, left))])
        return moved

    def _receive(self, size: int) -> bytes:
        try:
            data = os.read(self._connection, size)
        except ConnectionError:
            data = b""
        if not data:
            raise FramingError(UNEXPECTED_EOF)
        return data


def _write(out: int, pieces: list[memoryview]) -> int:
    """All of it; how many bytes these are."""
    size = 0
    while pieces:
        done = os.writev(out, pieces[:_PIECES_MAX])
        size += done
        drop(pieces, done)
    return size
