"""What goes wrong with cgroups."""

import errno
import os


class CgroupError(OSError):
    """A cgroup could not be made, limited or read; `str(error)` names the file, the value and the kernel's reason."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class LimitError(CgroupError, ValueError):
    """A limit that no cgroup of this version can have, found before anything is written."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EINVAL, message)


def because(error: OSError, message: str) -> CgroupError:
    """A CgroupError with an OSError's number and reason behind a message."""
    return CgroupError(error.errno or 0, f"{message}: {os.strerror(error.errno or 0).lower()}")
