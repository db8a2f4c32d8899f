"""inotify(7): being told of changes to files instead of looking again and again."""

import ctypes
import os
import struct
from typing import NamedTuple

from wherry.linux.libc import checked, declare, encode

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000

_HEADER = struct.Struct("iIII")
_READ_BYTES = 65536

_init1 = declare("inotify_init1", ctypes.c_int)
_add_watch = declare("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_rm_watch = declare("inotify_rm_watch", ctypes.c_int, ctypes.c_int)


class Event(NamedTuple):
    """What happened to a watched thing; `name` is the entry's when a directory is watched."""

    watch: int
    mask: int
    name: bytes


def open_inotify() -> int:
    """inotify_init1(2): a non-blocking, close-on-exec descriptor. Raises OSError."""
    return checked(_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")


def add_watch(fd: int, path: str | bytes, mask: int) -> int:
    """inotify_add_watch(2); the watch's number. Raises OSError."""
    return checked(_add_watch(fd, encode(path), mask), "inotify_add_watch", os.fsdecode(path))


def remove_watch(fd: int, watch: int) -> None:
    """inotify_rm_watch(2). Raises OSError."""
    checked(_rm_watch(fd, watch), "inotify_rm_watch", watch)


def read_events(fd: int) -> list[Event]:
    """All that is queued now; nothing when nothing is. Raises OSError."""
    try:
        data = os.read(fd, _READ_BYTES)
    except BlockingIOError:
        return []
    events, offset = [], 0
    while offset < len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        events.append(Event(watch, mask, data[offset : offset + length].rstrip(b"\0")))
        offset += length
    return events
