"""The Protocol of a log driver's reading side: what a container has said so far, and what it says next.

Terms
-----
Line
    One record of the log. A line that was longer than the driver's limit is several records; all but the last have no
    newline at their end.
Batch
    Lines that are there at once. They come in batches because there are millions of them.

An example
----------
>>> query = LogQuery(tail=10, follow=True)
>>> async for batch in reader.read(path, query, ended=process.wait()):
...     await client.write(frames(batch, query))

The writing side is the monitor's: a log driver is named in the execution driver's LogPlan.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from wherry.model.clock import parse_rfc3339


class LogText(Struct, frozen=True, gc=False):
    """One record without what most readers do not ask for; `stream` is stdout or stderr."""

    log: str = ""
    stream: str = ""

    @property
    def text(self) -> bytes:
        """What was written, with its newline if it had one."""
        return self.log.encode()


class LogLine(LogText, frozen=True, gc=False):
    """One whole record, as a json-file has it: `time` is RFC 3339 in UTC."""

    time: str = ""
    attrs: dict[str, str] = {}

    @property
    def time_ns(self) -> int:
        """When, in nanoseconds since the epoch."""
        return parse_rfc3339(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What is wanted. `since_ns` and `until_ns` are inclusive, 0 for no bound; `tail` counts records, None for all.

    As dockerd: `tail` counts before the other conditions are looked at. `timestamps` and `details` are for `frames`.
    """

    since_ns: int = 0
    until_ns: int = 0
    tail: int | None = None
    follow: bool = False
    stdout: bool = True
    stderr: bool = True
    timestamps: bool = False
    details: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the text alone is to be shown."""
        return not (self.timestamps or self.details)


class LogReader(Protocol):
    """Reads what one log driver writes."""

    name: str

    def read(
        self, path: str, query: LogQuery, *, ended: Awaitable[object] | None = None
    ) -> AsyncIterator[Sequence[LogText]]:
        """The lines in the order they were written, in batches; a log that is not there yet is empty.

        They are LogLines unless `query.is_plain`; then a reader may leave out time and attributes.

        With `query.follow` it goes on until `ended`, which is awaited: the container's end, after which all its
        output is logged. Closing the iterator lets go of everything. Raises Unsupported, OSError.
        """
