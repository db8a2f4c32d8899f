"""Giving memory back: a monitor has little to do for most of its life, and there are thousands of them."""

import ctypes

_LIBC = ctypes.CDLL(None)
_trim = getattr(_LIBC, "malloc_trim", None)
_option = getattr(_LIBC, "mallopt", None)
# mallopt(3). What a read of a log needs at most, several times over.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 2 * 1024 * 1024


def keep_for_reuse() -> None:
    """Let the C library's heap keep what was freed until `give_back`.

    By itself it returns the top of the heap after each read of a log, and faults it in again page by page for the
    next.
    """
    if _option:
        _option(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        _option(_M_MMAP_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Return what a burst of output has left in the C library's heap (malloc_trim(3), where there is one)."""
    if _trim:
        _trim(0)
