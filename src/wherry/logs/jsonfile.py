"""Reading Docker's json-file logs: backwards for the tail, forwards in batches, and on and on while followed."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import TypeVar

import msgspec

from wherry.logs.driver import LogLine, LogQuery, LogText
from wherry.logs.files import OpenFile, ShiftedFiles
from wherry.logs.follow import Follower
from wherry.model.clock import rfc3339
from wherry.monitor.lognames import Shifted
from wherry.monitor.rundir import opened

_READ_BYTES = 131072
_BLOCK_BYTES = 65536
# A record holds at most 16 KiB of output, six bytes for each at worst; what is longer was not written by us.
_LINE_BYTES_MAX = 1048576

Line = TypeVar("Line", bound=LogText)

_WHOLE = msgspec.json.Decoder(LogLine)
_TEXT = msgspec.json.Decoder(LogText)


class JsonFileLogs:
    """`wherry.logs.driver.LogReader` of the driver `json-file`."""

    name = "json-file"

    async def read(
        self, path: str, query: LogQuery, *, ended: Awaitable[object] | None = None
    ) -> AsyncIterator[Sequence[LogText]]:
        """The lines that are wanted, in batches. Raises OSError."""
        wanted = _Wanted(query)
        # The follower watches before the files are opened: nothing can be written between.
        log = ShiftedFiles(path)
        follower = Follower(log, ended, until_ns=query.until_ns) if query.follow else None
        files: list[OpenFile] = []
        try:
            files = log.open()
            await asyncio.to_thread(_skip, files, query)
            async for batch in _batches(files, wanted):
                yield batch
            if follower:
                async for file in follower.goes_on(files):
                    async for batch in _batches([file], wanted, close=False):
                        yield batch
                    if wanted.is_over:
                        break
        finally:
            if follower:
                await follower.close()
            for file in files:
                file.close()

    def clear(self, path: str) -> None:
        """Remove the files, while nobody writes. Raises OSError."""
        with opened(os.path.dirname(path)) as directory:
            Shifted(directory, os.path.basename(path), 1).clear()


class _Wanted:
    """The conditions of a query. Times are compared as text: without zeros at the end and without Z they sort."""

    def __init__(self, query: LogQuery) -> None:
        self._since = rfc3339(query.since_ns)[:-1] if query.since_ns else ""
        self._until = rfc3339(query.until_ns)[:-1] if query.until_ns else ""
        self._streams = {"stdout"} if query.stdout else set()
        self._streams |= {"stderr"} if query.stderr else set()
        self._all_streams = query.stdout and query.stderr
        self._any_time = not self._since and not self._until
        self._only_text = self._any_time and query.is_plain
        self.is_over = False
        self.rests: dict[int, bytes] = {}

    def choose(self, data: bytes) -> Sequence[LogText]:
        """Those of the records that are wanted; `is_over` when what follows cannot be."""
        if self._only_text:
            return self._of_streams(_decode(data, _TEXT))
        lines = _decode(data, _WHOLE)
        return self._of_streams(lines if self._any_time else self._between(lines))

    def _between(self, lines: list[LogLine]) -> list[LogLine]:
        chosen = []
        for line in lines:
            time = line.time[:-1]
            if self._until and time > self._until:
                self.is_over = True
                break
            if time >= self._since:
                chosen.append(line)
        return chosen

    def _of_streams(self, lines: Sequence[LogText]) -> Sequence[LogText]:
        return lines if self._all_streams else [line for line in lines if line.stream in self._streams]


async def _batches(files: list[OpenFile], wanted: _Wanted, *, close: bool = True) -> AsyncIterator[Sequence[LogText]]:
    """What is in the files, from the oldest on; all but the last are closed on the way."""
    for file in list(files):
        await asyncio.to_thread(file.prepare)
        for data in _whole_lines(file, wanted.rests):
            lines = wanted.choose(data)
            if lines:
                yield lines
            if wanted.is_over:
                return
            await asyncio.sleep(0)  # a long log must not keep others waiting
        if close and file is not files[-1]:
            files.remove(file)
            file.close()


def _whole_lines(file: OpenFile, rests: dict[int, bytes]) -> Iterator[bytes]:
    """Pieces of the file that end with a record's end; what is half written is kept for the next look."""
    rest = rests.pop(file.identity, b"")
    while data := file.read(_READ_BYTES):
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:] if len(data) - end <= _LINE_BYTES_MAX else b""
        if end:
            yield data[:end]
    if rest:
        rests[file.identity] = rest


def _decode(data: bytes, decoder: msgspec.json.Decoder[Line]) -> list[Line]:
    try:
        return decoder.decode_lines(data)
    except msgspec.DecodeError:
        return list(_decode_each(data, decoder))


def _decode_each(data: bytes, decoder: msgspec.json.Decoder[Line]) -> Iterator[Line]:
    """Slowly: what is no record is left out, such as zeros after a power cut."""
    for line in data.split(b"\n"):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _skip(files: list[OpenFile], query: LogQuery) -> None:
    """Leave only the last so many records, and of these only what may be late enough."""
    if query.tail is not None:
        _skip_to_last(files, query.tail)
    if query.since_ns:
        _skip_to_time(files, rfc3339(query.since_ns)[:-1])


def _skip_to_last(files: list[OpenFile], left: int) -> None:
    for number, file in reversed(list(enumerate(files))):
        file.prepare()
        if left > 0:
            left -= file.skip_to_last(left)
        else:
            file.position = file.end
        if left <= 0:
            _leave_out(files, number)
            return


def _leave_out(files: list[OpenFile], number: int) -> None:
    """Those that came before the one with that number are not even unpacked."""
    for file in files[:number]:
        file.close()
    del files[:number]


def _skip_to_time(files: list[OpenFile], since: str) -> None:
    """As far as it can be done by halving; `_Wanted` judges each record. Files that are too old are not opened up."""
    for number, file in reversed(list(enumerate(files))):
        file.prepare()
        first = _time_after(file, 0)
        if first and first[1] < since:
            file.position = max(file.position, _halve(file, since))
            _leave_out(files, number)
            return


def _halve(file: OpenFile, since: str) -> int:
    """The offset of a record before `since`, after which few come before it."""
    early, late = 0, file.end
    while late - early > _BLOCK_BYTES:
        middle = (early + late) // 2
        found = _time_after(file, middle)
        if found and found[0] < late and found[1] < since:
            early = found[0]
        else:
            late = middle
    return early


def _time_after(file: OpenFile, offset: int) -> tuple[int, str] | None:
    """Where the next record begins after `offset`, and its time without Z."""
    size = _BLOCK_BYTES
    while size <= _LINE_BYTES_MAX:
        data = os.pread(file.fd, size, offset)
        start = data.find(b"\n") + 1 if offset else 0
        end = data.find(b"\n", start)
        if (start or not offset) and end > 0:
            try:
                return offset + start, _WHOLE.decode(data[start:end]).time[:-1]
            except msgspec.DecodeError:
                return None
        if len(data) < size:
            return None
        size *= 4
    return None
