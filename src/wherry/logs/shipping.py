"""Sending a container's lines from where they are kept, at the server's pace, from the place that was sent last.

The place is kept in the file `shipped` beside the log, and noted after the other side has what is before it: who goes
on after a crash sends again what was not noted, and nothing is left out, unless rotation has taken it meanwhile.

```
u64 u64     the number of the file, the offset of the first record that is not sent yet
u32 u32     how many parts of a long line were sent of stdout and stderr
u32         a checksum of all that
```
"""

import asyncio
import contextlib
import os
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from wherry.crashpoints import crash_point
from wherry.logs.driver import Entry, Sender
from wherry.logs.follow import Follower
from wherry.logs.segments import Segment, SegmentFiles
from wherry.monitor.packed import ATTRIBUTES, GOES_ON, STDERR, Packet, stamps

NAME = "shipped"
_PLACE = struct.Struct("<QQII")
_CHECKSUM = struct.Struct("<I")
_MODE = 0o600

Trouble = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a log is sent: what is before `offset` in the file `number`; parts of an unfinished line, by stream."""

    number: int = 0
    offset: int = 0
    parts: tuple[int, int] = (0, 0)


class Shipment:
    """One container's log on its way. `trouble` hears what an administrator should know."""

    def __init__(self, path: str, sender: Sender, trouble: Trouble) -> None:
        """Of the log at `path`."""
        self._log = SegmentFiles(path)
        self._sender = sender
        self._trouble = trouble
        self._place = load_place(self._log.directory)
        self._fd = -1
        self.is_stuck = asyncio.Event()
        """Set while the other side does not take what it is sent."""

    async def run(self, ended: Callable[[], Awaitable[object]]) -> None:
        """Send what there is and what comes, until `ended` and all is sent. Raises OSError for the host's own files."""
        self._fd = os.open(_path(self._log.directory), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
        follower = Follower(self._log, ended())
        segments: list[Segment] = []
        try:
            segments = self._log.open(known=max(0, self._place.number - 1))
            self._begin(segments)
            for segment in segments:
                await self._send_all(segment)
            async for segment in follower.goes_on(segments):
                await self._send_all(segment)
        finally:
            await follower.close()
            for segment in segments:
                segment.close()
            os.close(self._fd)
            await self._sender.close()

    def _begin(self, segments: list[Segment]) -> None:
        if segments and segments[0].identity == self._place.number:
            segments[0].position = self._place.offset
        elif segments and self._place.number:
            self._miss(segments[0])

    def _miss(self, segment: Segment) -> None:
        self._trouble("lines were rotated away before they could be sent")
        self._place = Place(number=segment.identity)

    async def _send_all(self, segment: Segment) -> None:
        if self._place.number and segment.identity > self._place.number + 1:
            self._miss(segment)
        for batch in segment.packets():
            entries, parts = _entries(batch, self._place.parts)
            if entries:
                await self._send(entries)
            crash_point("log.sent")
            self._note(Place(number=segment.identity, offset=segment.position, parts=parts))
            crash_point("log.noted")

    async def _send(self, entries: list[Entry]) -> None:
        retry = self._sender.retry
        pause, attempts = retry.first_seconds, 0
        while True:
            try:
                await self._sender.send(entries)
            except OSError as error:
                attempts += 1
                self.is_stuck.set()
                if retry.attempts_max is not None and attempts > retry.attempts_max:
                    self._trouble(f"{len(entries)} lines are dropped after {attempts} attempts: {error}")
                    return
                if attempts == 1:
                    self._trouble(f"lines wait, for they cannot be sent: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, retry.longest_seconds)
            else:
                self.is_stuck.clear()
                return

    def _note(self, place: Place) -> None:
        self._place = place
        data = _PLACE.pack(place.number, place.offset, *place.parts)
        with contextlib.suppress(OSError):  # a full disk: then it is sent twice
            os.pwrite(self._fd, data + _CHECKSUM.pack(zlib.crc32(data)), 0)


class Shipper:
    """A shipment at work in a task of its own."""

    def __init__(self, shipment: Shipment, task: asyncio.Task[None]) -> None:
        """The task runs the shipment."""
        self._shipment = shipment
        self._task = task

    async def finish(self, seconds: float) -> None:
        """Give what is left of an ended container so long to be sent, unless nobody takes it; then stop."""
        stuck = asyncio.ensure_future(self._shipment.is_stuck.wait())
        try:
            await asyncio.wait({self._task, stuck}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stuck.cancel()
            await self.stop()

    async def stop(self) -> None:
        """End it; what is not sent waits for the next."""
        self._task.cancel()
        await asyncio.wait([self._task])


def load_place(directory: str) -> Place:
    """How far the log in a directory is sent."""
    try:
        with open(_path(directory), "rb") as file:
            data = file.read(_PLACE.size + _CHECKSUM.size)
    except FileNotFoundError:
        return Place()
    if data[_PLACE.size :] != _CHECKSUM.pack(zlib.crc32(data[: _PLACE.size])):
        return Place()
    number, offset, *parts = _PLACE.unpack(data[: _PLACE.size])
    return Place(number=number, offset=offset, parts=(parts[0], parts[1]))


def is_all_sent(path: str) -> bool:
    """Whether nothing of a log that nobody writes waits for being sent. Raises OSError."""
    log = SegmentFiles(path)
    place = load_place(log.directory)
    segments = log.open(known=max(0, place.number - 1))
    try:
        if segments and segments[0].identity == place.number:
            segments[0].position = place.offset
        return not any(_has_lines(segment) for segment in segments)
    finally:
        for segment in segments:
            segment.close()


def _has_lines(segment: Segment) -> bool:
    return any(packet.kind != ATTRIBUTES for batch in segment.packets() for _, packet in batch)


def _entries(batch: list[tuple[int, Packet]], parts: tuple[int, int]) -> tuple[list[Entry], tuple[int, int]]:
    """Lines as they are sent, and how many parts of unfinished ones there were by then."""
    entries: list[Entry] = []
    counts = list(parts)
    for _, packet in batch:
        if packet.kind == ATTRIBUTES:
            continue
        stream = 1 if packet.kind & STDERR else 0
        lines = _lines(packet)
        goes_on = bool(packet.kind & GOES_ON)
        if goes_on or counts[stream]:
            counts[stream] += 1
            lines[0] = replace(lines[0], part=counts[stream], is_last=not goes_on)
        if not goes_on:
            counts[stream] = 0
        entries += lines
    return entries, (counts[0], counts[1])


def _lines(packet: Packet) -> list[Entry]:
    stream = "stderr" if packet.kind & STDERR else "stdout"
    texts = packet.text.removesuffix(b"\n").split(b"\n")
    timed = zip(texts, stamps(packet.first_ns, len(texts)), strict=True)
    return [Entry(text=text, stream=stream, time_ns=stamp) for text, stamp in timed]


def _path(directory: str) -> str:
    return os.path.join(directory, NAME)
