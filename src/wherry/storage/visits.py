"""Workers inside a container's file system: what the daemon gives them, and how it understands what they say."""

import fcntl
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from wherry.linux.mount import MOUNT_ATTR_RDONLY, MS_PRIVATE, mount_setattr, open_tree
from wherry.storage.jobs import put, take
from wherry.storage.paths import Found
from wherry.storage.source import PIPE_BYTES
from wherry.storage.view import MEMORY, View
from wherry.storage.workforce import Argument, Descriptor, Worker, start

FOUND_PARTS = 5


class Unread(NamedTuple):
    """A connection by which a request's body comes, `already` what was read of it; `length` is None for chunks."""

    connection: socket.socket
    already: bytes
    length: int | None


def open_bind(source: str, *, recursive: bool, writable: bool) -> int:
    """A directory or file of the host as a detached mount, cut off from where it comes from. Raises OSError."""
    fd = open_tree(source, recursive=recursive)
    try:
        # Private first: until then it is a peer of its source.
        attributes = 0 if writable else MOUNT_ATTR_RDONLY
        mount_setattr("", dir_fd=fd, propagation=MS_PRIVATE, recursive=True)
        mount_setattr("", dir_fd=fd, attributes=attributes, recursive=True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def start_look(view: View, path: str) -> Worker:
    """A worker that says what stands at a path. Raises EngineError, OSError."""
    return start("look", path, *_words(view))


def start_take(view: View, path: str) -> tuple[Worker, socket.socket]:
    """One that says the same, and writes it as a tar once `hand_over` gave it where to. The socket is the caller's.

    Without a path everything is meant, without a name for the root. Raises EngineError, OSError.
    """
    return _start_controlled("take", path, *_words(view))


def hand_over(control: socket.socket, out: int, *, chunked: bool) -> None:
    """Give a worker the descriptor that its tar goes to, as chunks of HTTP or as it is. Raises OSError."""
    socket.send_fds(control, [take.CHUNKED if chunked else b"plain"], [out])


def start_put(
    view: View,
    path: str,
    *,
    same_kind: bool,
    owner: tuple[int, int] | None,
    root_is_writable: bool,
    points: Sequence[tuple[str, bool]],
) -> tuple[Worker, socket.socket]:
    """One that unpacks a tar into a directory, once it was told where that comes from. The socket is the caller's.

    `points` are the container's mount points, and whether they may be written to. Raises EngineError, OSError.
    """
    uid, gid = owner or (-1, -1)
    flat = [word for place, writable in points for word in (place, int(writable))]
    words = (int(same_kind), uid, gid, int(root_is_writable), len(points), *flat, *_words(view))
    return _start_controlled("put", path, *words)


def hand_pipe(control: socket.socket) -> int:
    """Give a worker a pipe to read; its writing end, which is the caller's. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        socket.send_fds(control, [put.PLAIN], [reading])
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return writing


def hand_connection(control: socket.socket, unread: Unread) -> None:
    """Give a worker a client's connection to read. Raises OSError."""
    fd = os.memfd_create("read already", os.MFD_CLOEXEC)
    with open(fd, "wb", buffering=0) as file:
        file.write(unread.already)
        file.seek(0)
        word = put.CHUNKED if unread.length is None else b"%d" % unread.length
        socket.send_fds(control, [word], [unread.connection.fileno(), fd])


def read_found(parts: Sequence[bytes]) -> Found:
    """What a worker said stands at a path."""
    name, size, mode, mtime_ns, target = parts
    return Found(name, int(size), int(mode), int(mtime_ns), target)


def _start_controlled(job: str, path: str, *words: Argument) -> tuple[Worker, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            return start(job, path, *words, stdin=theirs.fileno()), ours
        except BaseException:
            ours.close()
            raise


def _words(view: View) -> list[Argument]:
    words: list[Argument] = [_named(view.namespace), _named(view.root)]
    for fd, place in view.mounts:
        words += [Descriptor(fd), place]
    for place in view.memories:
        words += [MEMORY, place]
    return words


def _named(fd: int) -> Argument:
    return Descriptor(fd) if fd >= 0 else fd
