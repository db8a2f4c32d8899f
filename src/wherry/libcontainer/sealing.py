"""Running from a read-only view of the interpreter, so that no container can reach a writable file of the host by it.

A container's program may be a link to /proc/self/exe: then what is executed in it is the interpreter that was just
about to execute it, and after that its file can be opened for writing (CVE-2019-5736). A file that was executed
through a read-only mount answers EROFS, also when that mount is attached nowhere.
"""

import os
import sys

from wherry.linux import mount as kernel

_EXE = "/proc/self/exe"


def is_sealed() -> bool:
    """Whether this process runs from a read-only mount. Raises OSError."""
    return bool(os.statvfs(_EXE).f_flag & os.ST_RDONLY)


def execute_sealed() -> None:
    """Unless that is so, execute this very command line again from a read-only mount. Raises OSError."""
    if is_sealed():
        return
    fd = kernel.open_tree(os.path.realpath(_EXE))
    kernel.mount_setattr("", dir_fd=fd, attributes=kernel.MOUNT_ATTR_RDONLY, propagation=kernel.MS_PRIVATE)
    os.execve(fd, [sys.executable, *sys.orig_argv[1:]], os.environ)  # noqa: S606 - that is the purpose
