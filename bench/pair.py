"""What a pair of measurements is: one deed, done by two engines in turn, and the goal it has to reach."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from bench.engines import Engine

PAUSED = "/paused"  # what the name of a row ends with that was measured with pauses


class Watch:
    """Takes one figure: the time that a `with` lasts, in milliseconds, or what is told by `note`."""

    def __init__(self, pause_seconds: float) -> None:
        """The pause comes right before the time that counts."""
        self._pause_seconds = pause_seconds
        self._begun = 0.0
        self.figure = 0.0

    def __enter__(self) -> Self:
        time.sleep(self._pause_seconds)
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.figure = (time.perf_counter() - self._begun) * 1000

    def note(self, figure: float) -> None:
        """The figure itself, in the pair's unit."""
        self.figure = figure


@dataclass(frozen=True, slots=True)
class Times:
    """So many times less than the peer."""

    factor: float

    def is_met(self, ours: float, theirs: float | None) -> bool | None:
        """None when there is no peer to compare with."""
        return None if theirs is None else theirs >= self.factor * ours

    def __str__(self) -> str:
        return f"≥ {self.factor:g}x"


@dataclass(frozen=True, slots=True)
class AtMost:
    """No more than a figure in the pair's unit."""

    figure: float
    unit: str = "ms"

    def is_met(self, ours: float, _: float | None) -> bool | None:
        """The peer does not matter."""
        return ours <= self.figure

    def __str__(self) -> str:
        return f"≤ {self.figure:g} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row of the table. Less is better in every one.

    `measure` does the deed once; what it does outside of the watch does not count. `prepare` is called once for each
    engine before; all containers are removed afterwards. `runs` bounds the number of runs of what takes long; what has
    no `pauses` is measured without them only.
    """

    name: str
    title: str
    measure: Callable[[Engine, Watch], None]
    prepare: Callable[[Engine], object] | None = None
    goal: Times | AtMost | None = None
    unit: str = "ms"
    runs: int | None = None
    pauses: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured: every figure of both engines, in the order of the runs."""

    name: str
    title: str
    unit: str
    goal: str
    met: bool | None
    ours: list[float]
    theirs: list[float]

    @property
    def median(self) -> float:
        """Ours."""
        return statistics.median(self.ours)

    @property
    def peer_median(self) -> float | None:
        """The peer's, if there was one."""
        return statistics.median(self.theirs) if self.theirs else None


def row(pair: Pair, figures: dict[str, list[float]], *, paused: bool) -> Row:
    """The figures of a pair by engine, judged."""
    ours, theirs = figures["wherry"], figures.get("dockerd", [])
    goal = pair.goal
    peer = statistics.median(theirs) if theirs else None
    return Row(
        name=f"{pair.name}{PAUSED if paused else ''}",
        title=f"{pair.title}{', pauses of 150 ms' if paused else ''}",
        unit=pair.unit,
        goal=str(goal) if goal else "",
        met=goal.is_met(statistics.median(ours), peer) if goal else None,
        ours=ours,
        theirs=theirs,
    )
