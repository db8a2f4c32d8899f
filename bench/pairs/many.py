"""Many containers, one after the other and eight at a time: how long each of them takes."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.engines import Engine
from bench.pair import Pair, Times, Watch
from bench.raw import run_to_removal

CONTAINERS = 32


def many(network: str, at_a_time: int) -> Callable[[Engine, Watch], None]:
    """Created, started, waited for and removed by raw HTTP, so that the command line's work does not count."""

    def measure(engine: Engine, watch: Watch) -> None:
        with ThreadPoolExecutor(at_a_time) as clients:
            begun = time.perf_counter()
            for _ in clients.map(lambda _: run_to_removal(engine, network), range(CONTAINERS)):
                pass
            watch.note((time.perf_counter() - begun) * 1000 / CONTAINERS)

    return measure


def _pair(network: str, at_a_time: int) -> Pair:
    how = "one after the other" if at_a_time == 1 else f"{at_a_time} at a time"
    return Pair(
        name=f"many-{network}-{at_a_time}",
        title=f"each of {CONTAINERS} containers, {how}, {network}",
        measure=many(network, at_a_time),
        goal=Times(5),
        runs=5,
        pauses=False,
    )


PAIRS = (_pair("bridge", 1), _pair("bridge", 8), _pair("none", 1), _pair("none", 8))
