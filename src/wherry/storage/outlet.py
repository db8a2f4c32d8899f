"""Where a worker's tar goes: a pipe, or a client's connection as chunks of HTTP, files without a copy in between."""

import errno
import os
import select
import socket

_BUFFER_SIZE = 1 << 18
# Smaller ones are read and written with what stands around them.
_FILE_BYTES_MIN = 1 << 16
_PIECE = 1 << 30


class Gone(Exception):
    """Whoever wanted the bytes has left, or the daemon has."""


class Outlet:
    """Writes to `out`, which may be non-blocking, for as long as the other end of `watched` is open.

    With `chunked` the bytes are framed as RFC 9112 section 7.1 has it; `finish` writes the last chunk.
    """

    def __init__(self, out: int, watched: socket.socket, *, chunked: bool) -> None:
        self._out = out
        self._chunked = chunked
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(out, select.POLLOUT)
        self._watched = watched.fileno()
        self._poll.register(self._watched, select.POLLIN)

    def write(self, piece: bytes) -> None:
        """Some bytes, sooner or later. Raises Gone, OSError."""
        self._buffer += piece
        if len(self._buffer) >= _BUFFER_SIZE:
            self._flush()

    def write_file(self, fd: int, size: int) -> None:
        """Exactly `size` bytes from a file's beginning, with zeros for what it has not. Raises Gone, OSError."""
        if size < _FILE_BYTES_MIN:
            self._write_small(fd, size)
            return
        self._frame()
        if self._chunked:
            self._buffer += b"%x\r\n" % size
        self._send_buffer()
        missing = self._send_file(fd, size)
        while missing:
            zeros = bytes(min(missing, _BUFFER_SIZE))
            self._send(zeros)
            missing -= len(zeros)
        if self._chunked:
            self._send(b"\r\n")

    def finish(self) -> None:
        """Everything is written. Raises Gone, OSError."""
        self._flush()
        if self._chunked:
            self._send(b"0\r\n\r\n")

    def _write_small(self, fd: int, size: int) -> None:
        left = size
        while left and (piece := os.read(fd, left)):
            self._buffer += piece
            left -= len(piece)
        self.write(bytes(left))

    def _flush(self) -> None:
        self._frame()
        self._send_buffer()

    def _frame(self) -> None:
        """Make what is in the buffer a chunk of its own."""
        if self._chunked and self._buffer:
            self._buffer[:0] = b"%x\r\n" % len(self._buffer)
            self._buffer += b"\r\n"

    def _send_buffer(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        self._send(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._out, view) :]
            except BlockingIOError:
                self._wait()
            except (BrokenPipeError, ConnectionResetError):
                raise Gone from None

    def _send_file(self, fd: int, size: int) -> int:
        """Hand a file's bytes to the kernel; how many of them were not there."""
        at = 0
        while at < size:
            try:
                done = os.sendfile(self._out, fd, at, min(size - at, _PIECE))
            except BlockingIOError:
                self._wait()
                continue
            except OSError as error:
                if error.errno in {errno.EPIPE, errno.ECONNRESET}:
                    raise Gone from None
                raise
            if not done:
                break
            at += done
        return size - at

    def _wait(self) -> None:
        for fd, _ in self._poll.poll():
            if fd == self._watched:
                raise Gone
