"""mallopt(3) and malloc_trim(3): what the C library's heap keeps of what was freed, where it can be told."""

import ctypes

_LIBC = ctypes.CDLL(None)
_trim = getattr(_LIBC, "malloc_trim", None)
_option = getattr(_LIBC, "mallopt", None)
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
