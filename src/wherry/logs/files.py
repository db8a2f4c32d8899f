"""A log and its rotated predecessors, opened so that a rotation meanwhile neither hides a line nor shows one twice."""

import os
from itertools import count

_BLOCK_BYTES = 65536


class OpenFile:
    """One file of a log. `end` is how far it is read now."""

    def __init__(self, fd: int) -> None:
        """Take over the descriptor."""
        status = os.fstat(fd)
        self.fd = fd
        self.inode = status.st_ino
        self.position = 0
        self.end = status.st_size

    def read(self, size: int) -> bytes:
        """The next bytes up to `end`; empty when there are none."""
        data = os.pread(self.fd, min(size, self.end - self.position), self.position)
        self.position += len(data)
        return data

    def look_again(self) -> None:
        """Read on to where the file ends now; from its start when it was cut."""
        size = os.fstat(self.fd).st_size
        if size < self.position:
            self.position = 0
        self.end = size

    def skip_to_last(self, records: int) -> int:
        """Move on to the last so many records; how many are left there."""
        end = self.end
        found = 0
        last = os.pread(self.fd, 1, end - 1) if end else b"\n"
        unfinished = last != b"\n"
        while end > 0:
            start = max(0, end - _BLOCK_BYTES)
            block = os.pread(self.fd, end - start, start)
            at = len(block) - 1 if end == self.end and not unfinished else len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                found += not unfinished
                unfinished = False
                if found == records:
                    self.position = start + at + 1
                    return found
            end = start
        return found + (self.end > 0 and not unfinished)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


def open_log(path: str, *, known: int = 0) -> list[OpenFile]:
    """The log's files from the oldest on; with `known` only those that came after the file of that inode."""
    files: list[OpenFile] = []
    missing = 0
    # From the newest on: what is renamed meanwhile is met again under its next name, and known by its inode.
    for number in count():
        opened = _open(f"{path}.{number}" if number else path)
        if opened is None:
            missing += 1
            if missing > 1:  # a single gap is a rotation at work
                break
        elif opened.inode == known:
            opened.close()
            break
        elif any(opened.inode == file.inode for file in files):
            opened.close()
        else:
            files.insert(0, opened)
    return files


def is_current(path: str, file: OpenFile) -> bool:
    """Whether a file is still the one that is written."""
    try:
        return os.stat(path).st_ino == file.inode
    except FileNotFoundError:
        return False


def _open(path: str) -> OpenFile | None:
    try:
        return OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    except FileNotFoundError:
        return None
