r"""Compressing a rotated log file in a child of low priority, so that no output waits for it.

The child needs nobody: it writes `NAME.tmp`, makes that durable, and puts it in the place of the plain file, which may
have moved on meanwhile or be gone. That last step and a rotation exclude each other by a lock on the directory. A kill
anywhere leaves a whole file, plain or compressed, for a moment both.

A json-file becomes one gzip stream, as dockerd makes it, whose extra field (RFC 1952, 2.3.1) has the plain file's
inode: WI, 8, u64. By that a follower knows what it has read already.

A file of `local` becomes a gzip member for each block of some hundred KiB, then an empty member whose extra field says
where each block begins, so that a reader unpacks only what it wants:

```
WH, length of the rest      the subfield's name and size
entries of u64 u64 u64      offset in the compressed file, offset in the plain file, first stamp in nanoseconds
u64 0 length                end of the blocks, 0, the plain file's length
u32                         the size of the entries, so that they are found from the file's end
```
"""

import contextlib
import fcntl
import os
import select
import struct
import zlib

from wherry.monitor import packed
from wherry.monitor.lognames import COMPRESSED, INDEX, TEMPORARY, Names

ENTRY = struct.Struct("<QQQ")
SIZE = struct.Struct("<I")
# An empty deflate stream, its CRC and its length: how the file ends.
TAIL = b"\x03\x00" + bytes(8)
SUBFIELD = struct.Struct("<2sH")
NAME, NAME_OF_INODE = b"WH", b"WI"
INODE = struct.Struct("<Q")
GZIP_EXTRA = b"\x1f\x8b\x08\x04" + bytes(4) + b"\x00\xff"
_READ_BYTES = 262144
_LEVEL = 1
_NICE = 19
_MODE = 0o640
_FIRST_FD = 3
# An extra field has 65535 bytes.
_ENTRIES_MAX = 2500


def start(directory: int, names: Names, *, blocks: bool, after: int = 0) -> int:
    """Fork the child that compresses what is rotated, the newest first; its pid. Raises OSError without one.

    It begins when the child `after` has ended, which nobody has reaped yet.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:  # the last lines of a process: nothing may come back from here
        _let_go(directory)
        _open_again(directory)
        os.nice(_NICE)
        _await_end(after)
        while plain := names.rotated():
            compress(directory, plain[0], blocks=blocks)
        status = 0
    finally:
        os._exit(status)


def _open_again(directory: int) -> None:
    """Under the same number, with a position of its own: else two who list it at once would see a part of it each."""
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    os.dup2(own, directory)
    os.close(own)


def _await_end(pid: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):  # it has been reaped meanwhile
            pidfd = os.pidfd_open(pid)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll()
            os.close(pidfd)


def compress(directory: int, name: str, *, blocks: bool) -> None:
    """Compress the file `name`. Raises OSError, and ValueError for what is no log."""
    plain = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    temporary = f"{name}.{os.getpid()}{TEMPORARY}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    target = os.open(temporary, flags, _MODE, dir_fd=directory)
    try:
        (_write_blocks if blocks else _write_whole)(plain, target)
        os.fsync(target)
        _put_in_place(directory, name, os.fstat(plain).st_ino, temporary)
    finally:
        os.close(plain)
        os.close(target)
        with contextlib.suppress(FileNotFoundError):  # it is in its place, or was cleared away
            os.unlink(temporary, dir_fd=directory)


class Locked:
    """The lock that a rotation and the end of a compression take; on a description of its own."""

    def __init__(self, directory: int) -> None:
        """Of this directory."""
        self._directory = directory

    def __enter__(self) -> None:
        """Wait for it."""
        self._fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._directory)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        os.close(self._fd)


def _let_go(directory: int) -> None:
    """Keep nothing of the monitor's: who waits for the end of a stream must not wait for us."""
    os.closerange(_FIRST_FD, directory)
    os.closerange(directory + 1, os.sysconf("SC_OPEN_MAX"))


def _put_in_place(directory: int, name: str, inode: int, temporary: str) -> None:
    with Locked(directory):
        found = _name_of(directory, name, inode)
        if found is None:
            return  # it is too old by now, or the log was cleared
        os.rename(temporary, f"{found}{COMPRESSED}", src_dir_fd=directory, dst_dir_fd=directory)
        os.unlink(found, dir_fd=directory)
        with contextlib.suppress(FileNotFoundError):  # a short file has none
            os.unlink(f"{found}{INDEX}", dir_fd=directory)


def _name_of(directory: int, name: str, inode: int) -> str | None:
    """What a file is called now: it may have moved on."""
    base = name.rpartition(".")[0]
    for entry in os.scandir(directory):
        if entry.inode() == inode and entry.name.startswith(base) and not entry.name.endswith(TEMPORARY):
            return entry.name
    return None


def _write_whole(plain: int, target: int) -> None:
    _write(target, _header(NAME_OF_INODE, INODE.pack(os.fstat(plain).st_ino)))
    squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = size = 0
    while data := os.read(plain, _READ_BYTES):
        checksum = zlib.crc32(data, checksum)
        size += len(data)
        _write(target, squeezer.compress(data))
    _write(target, squeezer.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF))


def _write_blocks(plain: int, target: int) -> None:
    size = os.fstat(plain).st_size
    block = max(_READ_BYTES, size // _ENTRIES_MAX)
    entries = []
    done = written = 0
    while done < size and (data := _whole_records(plain, done, block)):
        entries.append(ENTRY.pack(written, done, next(packed.packets(data))[1].first_ns))
        written += _write(target, _member(data))
        done += len(data)
    entries.append(ENTRY.pack(written, 0, done))
    content = b"".join(entries)
    _write(target, _header(NAME, content + SIZE.pack(len(content))) + TAIL)


def _header(name: bytes, content: bytes) -> bytes:
    """A gzip member's header with an extra field of one subfield."""
    return GZIP_EXTRA + struct.pack("<H", SUBFIELD.size + len(content)) + SUBFIELD.pack(name, len(content)) + content


def _whole_records(plain: int, start: int, block: int) -> bytes:
    """As many as fill a block, at least one; nothing where there is no whole record any more."""
    size = block
    while True:
        data = os.pread(plain, size, start)
        end = max((end for end, _ in packed.packets(data)), default=0)
        if end or len(data) < size or size > packed.RECORD_BYTES_MAX:
            return data[:end]
        size *= 2


def _member(data: bytes) -> bytes:
    squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return squeezer.compress(data) + squeezer.flush()


def _write(target: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)
