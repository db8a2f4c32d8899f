"""One bridge, one daemon: a second one would sweep what it takes for leftovers of the first.

On disk: an empty, locked file `/run/wherry-bridges/NAMESPACE.BRIDGE`, where NAMESPACE is the inode of the network
namespace. The lock goes with the process that holds it.
"""

import fcntl
import os

from wherry.model.errors import Conflict

DIRECTORY = "/run/wherry-bridges"


class Claim:
    """A bridge that is this daemon's alone until `release`."""

    def __init__(self, bridge: str) -> None:
        """Claim it in the caller's network namespace. Raises Conflict when another living daemon has it, OSError."""
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        self._path = f"{DIRECTORY}/{os.stat('/proc/self/ns/net').st_ino}.{bridge}"
        self._fd = self._lock(bridge)

    def release(self) -> None:
        """Let others have it."""
        os.unlink(self._path)
        os.close(self._fd)

    def _lock(self, bridge: str) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                reason = "is used by another daemon that runs; give this one a --bridge of its own"
                raise Conflict(f"bridge {bridge} {reason}") from None
            if self._is_still(fd):
                return fd
            # Whoever had it removed the file between our opening and our locking.
            os.close(fd)

    def _is_still(self, fd: int) -> bool:
        try:
            return os.stat(self._path).st_ino == os.fstat(fd).st_ino
        except FileNotFoundError:
            return False
