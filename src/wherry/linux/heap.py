"""mallopt(3), malloc_trim(3), madvise(2): what the C library's heap keeps, and whose its pages are."""

import ctypes
from collections.abc import Callable

_LIBC = ctypes.CDLL(None)
_trim = getattr(_LIBC, "malloc_trim", None)
_option = getattr(_LIBC, "mallopt", None)
_advise = _LIBC.madvise
_advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_MADV_POPULATE_WRITE = 23
_PIECE_BYTES = 256 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed(size: int) -> None:
    """Keep up to so many bytes for reuse.

    By itself the heap returns its top as soon as 128 KiB of it are free: what allocates and frees more than that
    again and again has every page faulted in each time.
    """
    if _option:
        _option(_M_TRIM_THRESHOLD, size)
        _option(_M_MMAP_THRESHOLD, size)


def share() -> None:
    """Let all threads share one heap: several would each keep their own leftovers."""
    if _option:
        _option(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return all that is free."""
    if _trim:
        _trim(0)


def own_pages(is_wanted: Callable[[], bool]) -> None:
    """Have all memory that may be written be this process's own, a piece at a time, while it is wanted.

    A fork shares its pages with its parent until one of them writes; what is to be quick later pays for that now.
    """
    for start, end in _writable():
        for piece in range(start, end, _PIECE_BYTES):
            if not is_wanted():
                return
            _advise(piece, min(_PIECE_BYTES, end - piece), _MADV_POPULATE_WRITE)  # Linux 5.14; else it is paid later


def _writable() -> list[tuple[int, int]]:
    with open("/proc/self/maps", "rb") as maps:
        found = [line.split(None, 5) for line in maps if b" rw-p " in line]
    places = [[int(number, 16) for number in fields[0].split(b"-")] for fields in found if fields[5:] != [b"[stack]\n"]]
    return [(start, end) for start, end in places]
