"""Reading the logs of the driver `local`, which every driver that sends lines elsewhere keeps beside that."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence

import msgspec

from wherry.logs.driver import LogLine, LogQuery, LogText
from wherry.logs.follow import Follower
from wherry.logs.segments import Segment, SegmentFiles
from wherry.model.clock import NANOSECONDS, rfc3339
from wherry.monitor.lognames import Numbered
from wherry.monitor.packed import ATTRIBUTES, STDERR, Packet, stamps
from wherry.monitor.rundir import opened


class LocalLogs:
    """`wherry.logs.driver.LogReader` of the driver `local`."""

    name = "local"

    async def read(
        self, path: str, query: LogQuery, *, ended: Awaitable[object] | None = None
    ) -> AsyncIterator[Sequence[LogText]]:
        """The lines that are wanted, in batches. Raises OSError."""
        log = SegmentFiles(path)
        wanted = _Wanted(query)
        # The follower watches before the files are opened: nothing can be written between.
        follower = Follower(log, ended, until_ns=query.until_ns) if query.follow else None
        segments: list[Segment] = []
        try:
            segments = log.open()
            await asyncio.to_thread(_skip, segments, query)
            for segment in segments:
                async for batch in _batches(segment, wanted):
                    yield batch
            if follower:
                async for segment in follower.goes_on(segments):
                    async for batch in _batches(segment, wanted):
                        yield batch
                    if wanted.is_over:
                        break
        finally:
            if follower:
                await follower.close()
            for segment in segments:
                segment.close()

    def clear(self, path: str) -> None:
        """Remove what there is, while nobody writes; the numbers of what comes go on. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), opened(os.path.dirname(path)) as directory:
            names = Numbered(directory, os.path.basename(path), 1)
            names.clear()
            os.close(os.open(names.current, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640, dir_fd=directory))


class _Wanted:
    """The conditions of a query, and how a record's lines become what is asked for."""

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._until_ns = query.until_ns or 1 << 64
        self.is_over = False

    def lines(self, packet: Packet, attributes: dict[str, str], skip: int) -> Sequence[LogText]:
        """Those of a record that are wanted; `is_over` when what follows cannot be."""
        query = self._query
        stream = "stderr" if packet.kind & STDERR else "stdout"
        if packet.first_ns > self._until_ns:
            self.is_over = True
            return ()
        if not (query.stderr if packet.kind & STDERR else query.stdout):
            return ()
        texts = _texts(packet)[skip:]
        if query.is_plain and not (query.since_ns or query.until_ns):
            return [LogText(text, stream) for text in texts]
        timed = zip(stamps(packet.first_ns, packet.lines)[skip:], texts, strict=True)
        chosen = [(stamp, text) for stamp, text in timed if query.since_ns <= stamp <= self._until_ns]
        if query.is_plain:
            return [LogText(text, stream) for _, text in chosen]
        times = _times([stamp for stamp, _ in chosen])
        return [LogLine(text, stream, time, attributes) for time, (_, text) in zip(times, chosen, strict=True)]


async def _batches(segment: Segment, wanted: _Wanted) -> AsyncIterator[Sequence[LogText]]:
    for packets in segment.packets():
        lines = [line for found in _chosen(segment, packets, wanted) for line in found]
        if lines:
            yield lines
        if wanted.is_over:
            return
        await asyncio.sleep(0)  # a long log must not keep others waiting


def _chosen(segment: Segment, batch: list[tuple[int, Packet]], wanted: _Wanted) -> Iterator[Sequence[LogText]]:
    attributes = _decoded(segment.attributes)
    for _, packet in batch:
        if packet.kind == ATTRIBUTES:
            segment.attributes = packet.text
            attributes = _decoded(packet.text)
        elif not wanted.is_over:
            skip, segment.skip = segment.skip, 0
            yield wanted.lines(packet, attributes, skip)


def _decoded(attributes: bytes) -> dict[str, str]:
    try:
        return msgspec.json.decode(attributes, type=dict[str, str]) if attributes else {}
    except msgspec.DecodeError:
        return {}


def _texts(packet: Packet) -> list[str]:
    """Its lines with their newlines. Bytes that are no UTF-8 come through unchanged."""
    lines = packet.text.decode(errors="surrogateescape").split("\n")
    last = lines.pop()
    texts = [f"{line}\n" for line in lines]
    return [*texts, last] if last else texts


def _times(stamps_ns: list[int]) -> list[str]:
    """As RFC 3339 with nine digits; the seconds of many lines are the same, and take longest."""
    times = []
    known, prefix = -1, ""
    for stamp in stamps_ns:
        second, fraction = divmod(stamp, NANOSECONDS)
        if second != known:
            known, prefix = second, rfc3339(second * NANOSECONDS)[:-1]
        times.append(f"{prefix}.{fraction:09}Z")
    return times


def _skip(segments: list[Segment], query: LogQuery) -> None:
    """Leave only the last so many lines, and of these only what may be late enough."""
    left = query.tail
    for number, segment in reversed(list(enumerate(segments))):
        if left is not None and left <= 0:
            segment.position = segment.end
        elif left is not None:
            left -= segment.skip_to_last(left)
        if query.since_ns:
            segment.skip_to_time(query.since_ns)
            if 0 < segment.first_ns() < query.since_ns:  # all before it is older
                _leave_out(segments, number)
                break
    if query.details:
        for segment in segments:
            segment.find_attributes()


def _leave_out(segments: list[Segment], number: int) -> None:
    for segment in segments[:number]:
        segment.close()
    del segments[:number]
