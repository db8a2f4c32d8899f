"""What a client has still to take: a little in memory and, while it stalls, more in a file without a name.

Both are bounded. Who puts more in although it `is_full` takes that from nobody: it is kept, but should be the last.
"""

import os
from collections import deque
from collections.abc import Callable

MEMORY_BYTES_MAX = 262144
FILE_BYTES_MAX = 67108864
_READ_BYTES = 65536
_PIECES_AT_ONCE = 16


class Backlog:
    """Bytes in their order. While there is a file, what is added goes there; it is left when all was taken."""

    def __init__(self, open_file: Callable[[], int]) -> None:
        """Begin with nothing. `open_file` gives the descriptor of an empty file or raises OSError."""
        self._open_file = open_file
        self._memory: deque[memoryview] = deque()
        self._memory_bytes = 0
        self._late: list[bytes] = []
        self._file = -1
        self._written = self._read = 0

    def __bool__(self) -> bool:
        """Whether there is anything. All that is not in memory comes after something that is."""
        return bool(self._memory)

    @property
    def is_full(self) -> bool:
        """Whether something has to be taken first; once the file is full, all of it."""
        if self._file < 0:
            return self._memory_bytes > MEMORY_BYTES_MAX
        return self._written >= FILE_BYTES_MAX or bool(self._late)

    @property
    def is_spilling(self) -> bool:
        """Whether there is a file."""
        return self._file >= 0

    @property
    def memory_bytes(self) -> int:
        """How much of it is in memory."""
        return self._memory_bytes

    @property
    def pieces(self) -> int:
        """How many pieces are in memory."""
        return len(self._memory)

    def add(self, data: bytes) -> None:
        """Put more behind what is there."""
        if self._file < 0:
            self._remember(data)
        elif self._late:
            self._late.append(data)
        else:
            self._write(data)

    def spill(self) -> None:
        """Use a file from now on. Raises OSError."""
        self._file = self._open_file()
        self._written = self._read = 0

    def next_pieces(self) -> list[memoryview]:
        """What is to be sent first."""
        return [*self._memory][:_PIECES_AT_ONCE]

    def take(self, count: int) -> None:
        """So many bytes were sent. Raises OSError when the file cannot be read."""
        self._memory_bytes -= count
        while count:
            first = self._memory[0]
            if count < len(first):
                self._memory[0] = first[count:]
                break
            count -= len(first)
            self._memory.popleft()
        if not self._memory and self._file >= 0:
            self._refill()

    def clear(self) -> None:
        """Forget everything."""
        self._memory.clear()
        self._memory_bytes = 0
        self._late.clear()
        self._leave_file()

    def _remember(self, data: bytes) -> None:
        self._memory.append(memoryview(data))
        self._memory_bytes += len(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._file, view, self._written)
                self._written += count
                view = view[count:]
        except OSError:  # no room on the disk: what is in the file goes first, then this
            self._late.append(bytes(view))

    def _refill(self) -> None:
        data = os.pread(self._file, _READ_BYTES, self._read)
        self._read += len(data)
        if data:
            self._remember(data)
            return
        self._leave_file()
        late, self._late = self._late, []
        for each in late:
            self._remember(each)

    def _leave_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
