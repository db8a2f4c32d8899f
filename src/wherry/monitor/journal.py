"""What a monitor has in hand while it writes a log, in a file that outlives it: no line is lost, none comes twice.

Output that was read from a pipe exists nowhere but in the reader. So it is read straight into this file's mapping,
and the file says how far its way into the log has come. Every change of that is one byte stored at last, so a
SIGKILL finds the state before or after it, never between:

```
byte 0        phase: 0 nothing in hand, 1 reading, 2 writing | which of each pair below counts | which stream
16            the read in hand: bytes, first stamp
64, 128       places (a pair): bytes of this encoding in earlier files, offset and inode of the current file
256 …         rests of unfinished lines (a pair for each stream): length, stamp of their logged parts
4096          the rests themselves, 4 x 16 KiB
69632         the buffer that is read into, 64 KiB
```
Killed inside read(2), the length of what came is not known: the buffer holds 0xFF before, which never ends a text.
"""

import mmap
import os
import struct

from msgspec import Struct

from wherry.monitor.jsonlog import LINE_BYTES_MAX

BUFFER_BYTES = 65536

_IDLE, _READING, _WRITING = 0, 1, 2
_PHASE = 0b11
_PLACE_BIT = 0b100
_REST_BITS = (0b1000, 0b10000)
_STREAM_BIT = 0b100000
_READ = struct.Struct("QQ")
_PLACE = struct.Struct("QQQ")
_REST = struct.Struct("QQ")
_READ_AT = 16
_PLACES_AT = (64, 128)
_RESTS_AT = 256
_REST_TEXTS_AT = 4096
_BUFFER_AT = _REST_TEXTS_AT + 4 * LINE_BYTES_MAX
_SIZE = _BUFFER_AT + BUFFER_BYTES
_BLANK = b"\xff"


class Place(Struct, frozen=True):
    """How far an encoding is written: `done` bytes are in earlier files, the next go to `offset` of file `inode`."""

    done: int
    offset: int
    inode: int


class Rest(Struct, frozen=True):
    """The bytes of a line that has not ended, and the stamp that its logged parts carry, 0 for none."""

    text: bytes = b""
    time_ns: int = 0


class Pending(Struct, frozen=True):
    """A read that a killed monitor left unfinished. Place None: nothing of it is in the log."""

    stream: int
    data: bytes
    first_ns: int
    place: Place | None


class Journal:
    """One container's journal. Streams are 0 and 1."""

    def __init__(self, fd: int) -> None:
        """Map the file behind `fd`, new or a forerunner's. Raises OSError, also where the disk is full."""
        if os.fstat(fd).st_size < _SIZE:
            os.posix_fallocate(fd, 0, _SIZE)  # a write into a mapping with no block behind it would be a SIGBUS
            os.pwrite(fd, _BLANK * BUFFER_BYTES, _BUFFER_AT)
        self._map = mmap.mmap(fd, _SIZE)
        self._buffer = memoryview(self._map)[_BUFFER_AT:]

    def read(self, fd: int, stream: int) -> bytes:
        """Read once from a non-blocking descriptor; what came is in hand until `finish`. Raises OSError."""
        self._set(_PHASE | _STREAM_BIT, _READING | (_STREAM_BIT if stream else 0))
        try:
            count = os.readv(fd, [self._buffer])
        except OSError:
            self._set(_PHASE, _IDLE)
            raise
        if not count:
            self._set(_PHASE, _IDLE)
        return bytes(self._buffer[:count])

    def write(self, count: int, first_ns: int, place: Place) -> None:
        """From now on `count` bytes read go into the log, from `place` on, with stamps from `first_ns`."""
        _READ.pack_into(self._map, _READ_AT, count, first_ns)
        self._store_place(place)
        state = self._map[0]
        self._map[0] = (state & ~_PHASE | _WRITING) ^ _PLACE_BIT

    def move(self, place: Place) -> None:
        """The log was rotated while writing."""
        self._store_place(place)
        self._map[0] ^= _PLACE_BIT

    def finish(self, count: int, stream: int, rest: Rest) -> None:
        """The `count` bytes in hand are in the log, but for `rest`."""
        bit = _REST_BITS[stream]
        if rest.text or rest.time_ns or self._rest_header(stream) != (0, 0):
            slot = stream * 2 + (not self._map[0] & bit)
            start = _REST_TEXTS_AT + slot * LINE_BYTES_MAX
            self._map[start : start + len(rest.text)] = rest.text
            _REST.pack_into(self._map, _RESTS_AT + slot * _REST.size, len(rest.text), rest.time_ns)
        else:
            bit = 0
        # First idle, then blank: killed between the two, the next reader blanks once more.
        self._map[0] = (self._map[0] & ~_PHASE) ^ bit
        self._buffer[:count] = _BLANK * count

    def rest(self, stream: int) -> Rest:
        """What is left of a stream's unfinished line."""
        length, time_ns = self._rest_header(stream)
        start = _REST_TEXTS_AT + self._rest_slot(stream) * LINE_BYTES_MAX
        return Rest(self._map[start : start + length], time_ns)

    def pending(self) -> Pending | None:
        """What a forerunner left unfinished. Call `finish` when it is done with."""
        state = self._map[0]
        stream = 1 if state & _STREAM_BIT else 0
        if state & _PHASE == _WRITING:
            count, first_ns = _READ.unpack_from(self._map, _READ_AT)
            place = Place(*_PLACE.unpack_from(self._map, _PLACES_AT[1 if state & _PLACE_BIT else 0]))
            return Pending(stream, bytes(self._buffer[:count]), first_ns, place)
        data = bytes(self._buffer).rstrip(_BLANK) if state & _PHASE == _READING else b""
        if data:
            return Pending(stream, data, 0, None)
        self._settle()
        return None

    def close(self) -> None:
        """Unmap the file."""
        self._buffer.release()
        self._map.close()

    def _settle(self) -> None:
        self._set(_PHASE, _IDLE)
        self._buffer[:] = _BLANK * BUFFER_BYTES

    def _set(self, mask: int, value: int) -> None:
        self._map[0] = self._map[0] & ~mask | value

    def _store_place(self, place: Place) -> None:
        at = _PLACES_AT[0 if self._map[0] & _PLACE_BIT else 1]
        _PLACE.pack_into(self._map, at, place.done, place.offset, place.inode)

    def _rest_slot(self, stream: int) -> int:
        return stream * 2 + bool(self._map[0] & _REST_BITS[stream])

    def _rest_header(self, stream: int) -> tuple[int, int]:
        length, time_ns = _REST.unpack_from(self._map, _RESTS_AT + self._rest_slot(stream) * _REST.size)
        return length, time_ns
