"""The Protocol of a log driver: what it keeps of a container's output, how that is read, where else it is sent.

Terms
-----
Line
    One record of the log. A line that was longer than the driver's limit is several records; all but the last have no
    newline at their end.
Batch
    Lines that are there at once. They come in batches because there are millions of them.
Keeping
    What the container's monitor writes on this host: always something, but for `none`. It outlives the daemon.
Sender
    What brings lines elsewhere: to a syslog server, for one. It reads what is kept, at its own pace, so that no server
    ever holds a container up, and what was said while no daemon was there is sent by the next.

An example
----------
>>> query = LogQuery(tail=10, follow=True)
>>> async for batch in reader.read(path, query, ended=process.wait()):
...     await client.write(frames(batch, query))

Someone who writes a driver: `check` at create says what is wrong with the options; at start `keeping` says what is
written here, `sender` makes a Sender, or none for a driver that sends nothing, and `Sender.open` sees that the other
side is there. A start fails with what they raise. A driver of another package is found by an entry point of the group
`wherry.log_drivers`, which names a function that makes it.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from wherry.logs.subject import Subject
from wherry.model.clock import parse_rfc3339


class LogText(Struct, frozen=True, gc=False):
    """One record without what most readers do not ask for; `stream` is stdout or stderr."""

    log: str = ""
    stream: str = ""

    @property
    def text(self) -> bytes:
        """What was written, with its newline if it had one."""
        return self.log.encode(errors="surrogateescape")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is written here: `json-file`, `local` or `none`; sizes in bytes, None for no limit."""

    format: str
    bytes_max: int | None = None
    files_max: int = 1
    compress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line on its way elsewhere, without its newline.

    A long line comes in parts: `part` counts them from 1 on, 0 for a whole line; `is_last` is its end.
    """

    text: bytes
    stream: str
    time_ns: int
    part: int = 0
    is_last: bool = True


class LogReader(Protocol):
    """Reads what is kept in one format."""

    name: str

    def read(
        self, path: str, query: LogQuery, *, ended: Awaitable[object] | None = None
    ) -> AsyncIterator[Sequence[LogText]]:
        """The lines in the order they were written, in batches; a log that is not there yet is empty.

        They are LogLines unless `query.is_plain`; then a reader may leave out time and attributes.

        With `query.follow` it goes on until `ended`, which is awaited: the container's end, after which all its
        output is logged. Closing the iterator lets go of everything. Raises Unsupported, OSError.
        """

    def clear(self, path: str) -> None:
        """Forget what was written, while nobody writes. Raises OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Pauses between attempts, in seconds, doubled from the first to the longest; None attempts for no end."""

    first_seconds: float = 0.1
    longest_seconds: float = 10.0
    attempts_max: int | None = None


class Sender(Protocol):
    """Brings one container's lines elsewhere. One call at a time."""

    retry: Retry
    """How to go on after a failure."""

    async def open(self) -> None:
        """See that the other side is there, when a container starts. Raises OSError, with which the start fails."""

    async def send(self, entries: Sequence[Entry]) -> None:
        """Send them all, in order; on return they are no more ours to lose. Connects again where it has to.

        Raises OSError (TimeoutError is one) when it could not: then it is asked again, with the same lines.
        """

    async def close(self) -> None:
        """Let go of the connection."""


class LogDriver(Protocol):
    """One log driver, by its name. One object for all containers."""

    name: str
    defaults: Mapping[str, str]
    """Options that are in force, and shown by inspect, when a container says none of them."""
    sends: bool
    """Whether lines are sent elsewhere."""

    def check(self, options: Mapping[str, str]) -> None:
        """What is wrong with a container's options, when it is created. Raises InvalidParameter."""

    def keeping(self, options: Mapping[str, str]) -> Keeping:
        """What is written here. Raises InvalidParameter."""

    def attributes(self, subject: Subject) -> Mapping[str, str]:
        """What is kept with each line, for `logs --details`. Raises InvalidParameter."""

    def sender(self, subject: Subject) -> Sender | None:
        """What sends a container's lines, not connected yet; none when they stay here. Raises InvalidParameter."""
