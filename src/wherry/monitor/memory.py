"""Giving memory back: a monitor has little to do for most of its life, and there are thousands of them."""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return what a burst of output has left in the C library's heap (malloc_trim(3), where there is one)."""
    if _trim:
        _trim(0)
