"""The C library, loaded once: functions are declared here, and errno becomes OSError here and nowhere else."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
# PyDLL keeps the interpreter's lock during a call: what clone3(2) needs, and nothing that may block.
_locked_libc = ctypes.PyDLL(None, use_errno=True)

Call = Callable[..., int]
PathText = str | bytes | None


def declare(name: str, *arguments: Any) -> Call:
    """A function of the C library that returns a C int, -1 for an error."""
    function = _libc[name]
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return function


def declare_syscall(number: int, *arguments: Any, locked: bool = False) -> Call:
    """A system call by number, for those without a wrapper in every C library we meet."""
    # Indexing makes a fresh function object each time, so every call has argument types of its own.
    function = (_locked_libc if locked else _libc)["syscall"]
    function.argtypes = (ctypes.c_long, *arguments)
    function.restype = ctypes.c_long

    def call(*values: Any) -> int:
        return int(function(number, *values))

    return call


def encode(path: PathText) -> bytes | None:
    """A path as the kernel takes it; None stays NULL."""
    return None if path is None else os.fsencode(path)


def address_of(data: bytearray) -> int:
    """Where bytes lie; good until they are resized. Unlike an array of ctypes' this makes no new type."""
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def checked(result: int, call: str, subject: object = "") -> int:
    """The result, or OSError saying which call failed on what."""
    if result < 0:
        raise failure(ctypes.get_errno(), call, subject)
    return result


def failure(number: int, call: str, subject: object = "", reason: str = "") -> OSError:
    """An OSError (of the fitting subclass) that names the call, its subject and, when known, the kernel's own words."""
    what = f"{call} {subject}" if subject != "" else call
    text = os.strerror(number)
    # In lower case, as Go's programs print it: clients match these words.
    text = text[:1].lower() + text[1:]
    return OSError(number, f"{what}: {text} ({reason})" if reason else f"{what}: {text}")


def machine_number(*, x86_64: int, aarch64: int) -> int:
    """The one of a system call's numbers that fits this machine; calls from 424 on have one number everywhere."""
    machine = os.uname().machine
    if machine == "x86_64":
        return x86_64
    if machine == "aarch64":
        return aarch64
    raise OSError(f"no system call numbers are known for {machine}")
