"""The list of containers as JSON: of each, all but the words that count time is encoded once.

Records are replaced and never changed, so a row is good for as long as its record is the same object.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from wherry.api.answers import encode
from wherry.api.versions import Version
from wherry.api.views.container import status_words, summary_view
from wherry.engine.listing import Summary
from wherry.model.container import Container

# Some two kilobytes each.
ROWS_MAX = 2048
# Stands where the words will be; nobody can know it, and so nobody's label can hold it.
_MARK = secrets.token_hex(16)


class _Row(NamedTuple):
    container: Container
    link_names: tuple[str, ...]
    version: Version
    before: bytes
    after: bytes


class Rows:
    """Those that were asked for lately."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[str, _Row] = {}

    def encode(self, summaries: Sequence[Summary], version: Version, *, now_ns: int) -> bytes:
        """The body of `GET /containers/json`. What counts time counts from `now_ns`."""
        rows = [self._row(summary, version, now_ns=now_ns) for summary in summaries]
        if len(self._known) > ROWS_MAX:
            self._known.clear()
        return b"[" + b",".join(rows) + b"]\n"

    def _row(self, summary: Summary, version: Version, *, now_ns: int) -> bytes:
        container = summary.container
        known = self._known.get(container.id)
        if (
            known is None
            or known.container is not container
            or known.link_names != summary.link_names
            or known.version != version
            or summary.sizes is not None
        ):
            known = self._make(summary, version)
        return known.before + status_words(container.state, now_ns=now_ns).encode() + known.after

    def _make(self, summary: Summary, version: Version) -> _Row:
        data = encode({**summary_view(summary, version, now_ns=0), "Status": _MARK}).rstrip(b"\n")
        before, _, after = data.partition(_MARK.encode())
        row = _Row(summary.container, summary.link_names, version, before, after)
        if summary.sizes is None:
            self._known[summary.container.id] = row
        return row
