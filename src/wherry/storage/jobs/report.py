"""How a worker tells its outcome: on descriptor 2, success with numbers or an error in dockerd's form of words."""

import errno
import gc
import os
import sys
from collections.abc import Callable

from wherry.storage.tarnumbers import TarError

_REPORT = 2
_MESSAGE_BYTES_MAX = 2048
DONE = b"ok 0 0\0"
# Stands where else an errno does: no kernel has so many.
REFUSED = 4000


class Refused(Exception):
    """What was asked for is against the rules; words as dockerd's."""


def run(job: Callable[..., bytes]) -> None:
    """Do the job with the arguments in sys.argv, report, and end the process."""
    gc.disable()  # a short life, and no cycles in it
    try:
        report = job(*sys.argv[1:])
    except Refused as error:
        report = b"error %d " % REFUSED + _message(str(error))
    except (TarError, OSError) as error:
        report = told(error)
    except MemoryError:
        report = b"error %d out of memory" % errno.ENOMEM
    say(report)
    os._exit(0)


def told(error: TarError | OSError) -> bytes:
    """The report of what is wrong with a tar, or of what the kernel refused."""
    if isinstance(error, OSError):
        return b"error %d " % (error.errno or 0) + _message(_words(error))
    return b"error 0 " + _message(str(error))


def say(report: bytes) -> None:
    """Part of a report, each of whose parts ends with NUL."""
    while report:
        report = report[os.write(_REPORT, report) :]


def _words(error: OSError) -> str:
    """`/path: reason`, or what the error says itself when it names no path."""
    if not isinstance(error.filename, str | bytes):
        return error.strerror or str(error)
    name = os.fsdecode(error.filename)
    return f"{name if name.startswith('/') else '/' + name}: {(error.strerror or '').lower()}"


def _message(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")[:_MESSAGE_BYTES_MAX]
