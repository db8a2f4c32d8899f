"""Room on the disk that is given back when there is no other, so that what was removed can still be recorded."""

import os
from pathlib import Path

# Several small files, because inodes run out as well as blocks: opening the ledger needs two of them.
FILES = 4
FILE_BYTES = 256 << 10
# What must be free besides, before the room is taken again.
SPARE_BYTES = 16 << 20
SPARE_FILES = 64


class Reserve:
    """A directory of files of no meaning. Not safe for several threads at once."""

    def __init__(self, directory: Path) -> None:
        """Take nothing yet."""
        self._files = [directory / str(number) for number in range(FILES)]
        self._directory = directory
        self.is_spent = True

    def keep(self) -> None:
        """Take the room if the disk has plenty; else it stays spent. A disk that cannot be written to is no error."""
        try:
            found = os.statvfs(self._directory.parent)
            # Some file systems, btrfs for one, count no inodes.
            crowded = found.f_files > 0 and found.f_favail < SPARE_FILES
            if crowded or found.f_bavail * found.f_frsize < SPARE_BYTES:
                return
            self._directory.mkdir(exist_ok=True, mode=0o700)
            for file in self._files:
                _allocate(file)
            self.is_spent = False
        except OSError:
            self.spend()

    def spend(self) -> bool:
        """Give all of it back to the disk; whether there was any."""
        given = [_remove(file) for file in self._files]
        self.is_spent = True
        return any(given)


def _allocate(file: Path) -> None:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, FILE_BYTES)
    finally:
        os.close(fd)


def _remove(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True
