"""`docker run` from the request to the end, on each kind of network."""

from bench.engines import Engine
from bench.pair import AtMost, Pair, Times, Watch
from bench.raw import create_start_wait


def run(network: str, goal: float) -> Pair:
    """`docker run --rm` on a network."""

    def measure(engine: Engine, watch: Watch) -> None:
        with watch:
            engine.docker("run", "--rm", "--network", network, "busybox", "/bin/true")

    return Pair(name=f"run-{network}", title=f"`run --rm true`, {network}", measure=measure, goal=Times(goal))


def raw_run(engine: Engine, watch: Watch) -> None:
    """The engine's own share of it."""
    with watch:
        create_start_wait(engine)


PAIRS = (
    run("bridge", 7),
    run("none", 5),
    run("host", 5),
    Pair(
        name="raw-run-bridge",
        title="create + start + wait by raw HTTP, bridge",
        measure=raw_run,
        goal=AtMost(12),
    ),
)
