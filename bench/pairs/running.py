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


def raw_run(network: str, goal: AtMost | None = None) -> Pair:
    """The engine's own share of it."""

    def measure(engine: Engine, watch: Watch) -> None:
        with watch:
            create_start_wait(engine, network)

    title = f"create + start + wait by raw HTTP, {network}"
    return Pair(name=f"raw-run-{network}", title=title, measure=measure, goal=goal)


PAIRS = (
    run("bridge", 7),
    run("none", 5),
    run("host", 5),
    raw_run("bridge", AtMost(12)),
    raw_run("none"),
    raw_run("host"),
)
