"""A container's output on its way into its log: read, encoded, written, rotated, and taken up again after a kill."""

import os
import time
from collections.abc import Callable

from wherry.monitor.journal import Journal, Pending, Place, Rest
from wherry.monitor.jsonlog import Encoded, after
from wherry.monitor.logfile import LogFile

STREAMS = ("stdout", "stderr")
_READ_BYTES = 65536


class LogWriter:
    """The writing side of all drivers that write. Streams are 0 for stdout and 1 for stderr."""

    def __init__(self, file: LogFile, journal_fd: int, *, on_loss: Callable[[OSError], None]) -> None:
        """Take over the file and the journal's descriptor. The journal is mapped with the first output.

        `on_loss` hears why, when the first of several losses in a row happens: the disk is full, for one.
        """
        self._file = file
        self._journal_fd = journal_fd
        self._journal: Journal | None = None
        self._last_ns = 0
        self._on_loss = on_loss
        self._losing = False

    def resume(self) -> tuple[int, bytes] | None:
        """Finish what a killed forerunner had in hand; which stream and bytes that was: no client has them yet."""
        if not os.fstat(self._journal_fd).st_size:
            return None
        journal = self._mapped()
        pending = journal.pending()
        if pending is None:
            return None
        self._log(journal, pending)
        return pending.stream, pending.data

    def read(self, fd: int, stream: int) -> bytes:
        """Read once from a non-blocking descriptor; logged when this returns; empty at its end. Raises OSError."""
        try:
            journal = self._mapped()
        except OSError as error:  # no room even for the journal: the container and whoever is attached go on
            self._lose(error)
            return os.read(fd, _READ_BYTES)
        data = journal.read(fd, stream)
        if data:
            self._log(journal, Pending(stream, data, 0, None))
        return data

    def draw_line(self) -> tuple[int, tuple[bytes, bytes]]:
        """Where the log ends now: what is in it bears stamps up to this one, all that comes later ones.

        Beside it the unfinished lines of stdout and stderr, of which the log may have first parts, but not these.
        """
        line_ns = self._last_ns = self._stamp()
        if not os.fstat(self._journal_fd).st_size:
            return line_ns, (b"", b"")
        journal = self._mapped()
        rests = journal.rest(0), journal.rest(1)
        for stream, rest in enumerate(rests):
            if rest.time_ns:  # its next parts were to bear the stamp of its first, which is on this side
                self._last_ns = self._stamp()
                journal.finish(0, stream, Rest(rest.text, self._last_ns))
        return line_ns, (rests[0].text, rests[1].text)

    def open_spill(self) -> int:
        """A file without a name beside the log, for what a client does not take. Raises OSError."""
        return self._file.open_spill()

    def end(self, stream: int) -> None:
        """A stream has ended: log its unfinished line."""
        if not os.fstat(self._journal_fd).st_size:
            return
        journal = self._mapped()
        rest = journal.rest(stream)
        if rest.text:
            encoded = self._encode(rest.text, stream, self._stamp(), rest.time_ns, final=True)
            self._write(encoded.records, None)
        journal.finish(0, stream, Rest())

    def begin(self) -> None:
        """A container begins to write. Raises OSError."""
        self._file.begin()

    def clear(self) -> None:
        """Forget all that was written. Raises OSError."""
        self._file.clear()

    def reaped(self, pid: int, *, well: bool) -> bool:
        """A child has ended; whether it was the log's."""
        return self._file.reaped(pid, well=well)

    def rest(self) -> None:
        """Keep no memory until there is output again."""
        if self._journal:
            self._journal.close()
            self._journal = None

    def close(self) -> None:
        """Close file and journal."""
        self.rest()
        os.close(self._journal_fd)
        self._file.close()

    def _mapped(self) -> Journal:
        if self._journal is None:
            self._journal = Journal(self._journal_fd)
        return self._journal

    def _log(self, journal: Journal, read: Pending) -> None:
        first_ns = read.first_ns or self._stamp()
        rest = journal.rest(read.stream)
        encoded = self._encode(rest.text + read.data, read.stream, first_ns, rest.time_ns)
        self._last_ns = max(self._last_ns, encoded.last_ns)
        if encoded.records:
            start = self._file.reached(encoded.records, read.place) if read.place else 0
            journal.write(len(read.data), first_ns, _shifted(self._file.place(), start))
            self._write(encoded.records, journal, start)
        journal.finish(len(read.data), read.stream, Rest(encoded.rest, encoded.rest_ns))

    def _encode(self, data: bytes, stream: int, first_ns: int, rest_ns: int, *, final: bool = False) -> Encoded:
        name = STREAMS[stream]
        file = self._file
        return file.format.encode(
            data, stream=name, first_ns=first_ns, rest_ns=rest_ns, final=final, attributes=file.attributes
        )

    def _write(self, records: bytes, journal: Journal | None, start: int = 0) -> None:
        """Append, rotating between records. What the disk does not take is lost, as with dockerd."""
        try:
            while start < len(records):
                if self._file.is_full:
                    place = _shifted(self._file.rotate(), start)
                    if journal:
                        journal.move(place)
                start = self._file.write(records, start)
            self._losing = False
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if not self._losing:
            self._losing = True
            self._on_loss(error)

    def _stamp(self) -> int:
        """The current time, but always later than the line before."""
        return max(time.time_ns(), after(self._last_ns))


def _shifted(place: Place, done: int) -> Place:
    return Place(done, place.offset, place.inode)
