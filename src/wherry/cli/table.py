"""Columns of text, aligned as Go's tabwriter does for docker: at least 10 wide, 3 spaces between."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMN_WIDTH_MIN = 10
GAP = 3


def aligned(rows: Sequence[Sequence[str]], *, minimum: int = COLUMN_WIDTH_MIN, gap: int = GAP) -> str:
    """Each row as a line; a row's last cell is not padded, and belongs to no column."""
    widths: list[int] = []
    for row in rows:
        for index, cell in enumerate(row[:-1]):
            if index == len(widths):
                widths.append(minimum)
            widths[index] = max(widths[index], len(cell) + gap)
    lines = []
    for row in rows:
        padded = [f"{cell:<{widths[index]}}" for index, cell in enumerate(row[:-1])]
        lines.append("".join(padded) + row[-1] + "\n")
    return "".join(lines)
