"""An engine with many containers: what it takes to list them, to look at one, and what it costs to have them."""

import statistics
import time
from functools import partial

from bench.engines import Engine
from bench.pair import AtMost, Pair, Times, Watch
from bench.pairs.memory import proportional_of
from bench.raw import Line

STILL = 1000
RUNNING = 200
LOOKS = 100
PINGS = 500


def fill(engine: Engine) -> None:
    """A thousand containers that do not run."""
    line = Line(engine)
    for _ in range(STILL):
        line.create("none")
    line.close()


def crowd(engine: Engine) -> None:
    """The same, and two hundred that do."""
    fill(engine)
    line = Line(engine)
    for _ in range(RUNNING):
        line.call("POST", f"/containers/{line.create('none', '/bin/sleep', '100000')}/start")
    line.close()


def list_all(engine: Engine, watch: Watch) -> None:
    """`ps -a` without a command line."""
    line = Line(engine)
    with watch:
        found = line.call("GET", "/containers/json?all=1")
    assert len(found) == STILL
    line.close()


def look(engine: Engine, watch: Watch, *, times: int = 1) -> None:
    """`inspect` without a command line, and without what a client does with the answer."""
    line = Line(engine)
    name = line.call("GET", "/containers/json?all=1&limit=1")[0]["Id"]
    with watch:
        for _ in range(times):
            line.ask(f"/containers/{name}/json")
    line.close()


def memory(engine: Engine, watch: Watch) -> None:
    """The daemon alone: what stands beside each container counts elsewhere."""
    watch.note(proportional_of(engine.pid))


def slowest_ping(engine: Engine, watch: Watch) -> None:
    """Of a hundred answers, the second slowest."""
    line = Line(engine)
    times = []
    for _ in range(PINGS):
        begun = time.perf_counter()
        line.call("GET", "/_ping")
        times.append((time.perf_counter() - begun) * 1000)
    watch.note(statistics.quantiles(times, n=100)[98])
    line.close()


PAIRS = (
    Pair(
        name="list-1000",
        title="`ps -a` of 1000 containers by raw HTTP",
        measure=list_all,
        prepare=fill,
        goal=Times(2),
        pauses=False,
    ),
    Pair(
        name="inspect",
        title="`inspect` by raw HTTP",
        measure=look,
        prepare=lambda engine: engine.docker("create", "busybox", "/bin/true"),
        goal=Times(2),
    ),
    Pair(
        name="inspect-often",
        title="a hundred times `inspect` by raw HTTP",
        measure=partial(look, times=LOOKS),
        prepare=lambda engine: engine.docker("create", "busybox", "/bin/true"),
        goal=Times(2),
        pauses=False,
    ),
    Pair(
        name="crowd-memory",
        title="proportional memory of the daemon, 1000 containers and 200 that run",
        measure=memory,
        prepare=crowd,
        unit="MiB",
        runs=1,
        pauses=False,
    ),
    Pair(
        name="crowd-ping",
        title="the slowest of a hundred `_ping`, 1000 containers and 200 that run",
        measure=slowest_ping,
        prepare=crowd,
        goal=AtMost(20),
        runs=3,
        pauses=False,
    ),
)
