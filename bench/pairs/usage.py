"""What containers use: `stats --no-stream`, and one sample of one container by raw HTTP."""

from bench.engines import Engine
from bench.pair import Pair, Times, Watch
from bench.raw import one_sample

CONTAINERS = 20


def start_twenty(engine: Engine) -> None:
    """Containers to look at, one of which is called `one`."""
    engine.docker("run", "-d", "--name", "one", "busybox", "/bin/sleep", "100000")
    for _ in range(CONTAINERS - 1):
        engine.docker("run", "-d", "busybox", "/bin/sleep", "100000")


def stats(engine: Engine, watch: Watch) -> None:
    """`docker stats --no-stream` of all that run."""
    with watch:
        engine.docker("stats", "--no-stream")


def one_shot(engine: Engine, watch: Watch) -> None:
    """The engine's own work for one sample."""
    with watch:
        one_sample(engine, "one")


PAIRS = (
    Pair(
        name="stats",
        title=f"`stats --no-stream` of {CONTAINERS} containers",
        measure=stats,
        prepare=start_twenty,
        goal=Times(2),
        runs=5,
        pauses=False,
    ),
    Pair(name="raw-stats", title="one sample by raw HTTP", measure=one_shot, prepare=start_twenty),
)
