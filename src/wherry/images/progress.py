"""What a verb tells while it works, as values, and their form in Docker's stream of JSON messages."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

BAR_WIDTH = 50
# dockerd reports a transfer every 512 KiB (moby pkg/progress).
REPORT_BYTES = 512 * 1024

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Progress(Struct, frozen=True, kw_only=True):
    """One message.

    `id` is what it is about (a short digest, a tag); `current` and `total` count bytes, -1 when there is nothing to
    count; `has_detail` says that the message carries a progressDetail even so; `stream` is a line for `docker load`;
    `error` ends the verb after the stream has begun; `aux` is for programs.
    """

    id: str = ""
    status: str = ""
    current: int = -1
    total: int = -1
    has_detail: bool = False
    stream: str = ""
    error: str = ""
    aux: dict[str, Any] | None = None


Report = Callable[[Progress], None]


def ignore(_progress: Progress) -> None:
    """Tell nobody."""


def as_message(progress: Progress) -> dict[str, Any]:
    """The message as dockerd's streamformatter writes it (moby pkg/jsonmessage)."""
    if progress.error:
        return {"errorDetail": {"message": progress.error}, "error": progress.error}
    if progress.stream:
        return {"stream": progress.stream}
    message: dict[str, Any] = {"status": progress.status} if progress.status else {}
    if progress.current >= 0:
        detail = {"current": progress.current} | ({"total": progress.total} if progress.total > 0 else {})
        message["progressDetail"] = detail
        message["progress"] = _bar(progress.current, progress.total)
    elif progress.has_detail or progress.aux is not None:
        message["progressDetail"] = {}
    if progress.id:
        message["id"] = progress.id
    if progress.aux is not None:
        message["aux"] = progress.aux
    return message


def _bar(current: int, total: int) -> str:
    if total <= 0 or current > total:
        return f"{_human(current):>8}"
    half = current * BAR_WIDTH // total
    drawn = "=" * half + ">" + " " * (BAR_WIDTH - half)
    return f"[{drawn}] {_human(current):>8}/{_human(total)}"


def _human(size: float) -> str:
    """`1.234MB` as go-units HumanSize: four significant digits, powers of 1000."""
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}{_UNITS[-1]}"


class Meter:
    """Reports a transfer's bytes, not more often than dockerd does."""

    def __init__(self, report: Report, message: Progress) -> None:
        """`message` has the id, the status and the total."""
        self._report = report
        self._message = message
        self._reported = -REPORT_BYTES

    def reach(self, current: int) -> None:
        """So many bytes are done."""
        is_worth_it = current - self._reported >= REPORT_BYTES or current == self._message.total
        if not is_worth_it or current == self._reported:
            return
        self._reported = current
        message = self._message
        self._report(Progress(id=message.id, status=message.status, current=current, total=message.total))
