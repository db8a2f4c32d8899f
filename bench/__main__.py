"""`python -m bench`: every pair, in turn, with and without pauses; a table for people and JSON for programs."""

import argparse
import json
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.engines import Engine, dockerd, wherry
from bench.raw import create_start_wait

RUNS = 15
PAUSE_SECONDS = 0.15

Case = Callable[[Engine], None]


def run(network: str) -> Case:
    """`docker run --rm busybox true` on a network."""
    return lambda engine: engine.docker("run", "--rm", "--network", network, "busybox", "/bin/true") and None


def exec_true(engine: Engine) -> None:
    """`docker exec C true`."""
    engine.docker("exec", "sleeper", "/bin/true")


def create(engine: Engine) -> None:
    """`docker create`."""
    engine.docker("create", "busybox", "/bin/true")


CASES: dict[str, Case] = {
    "run --rm true, bridge": run("bridge"),
    "run --rm true, none": run("none"),
    "run --rm true, host": run("host"),
    "exec true": exec_true,
    "create": create,
    "create + start + wait, bridge, raw HTTP": create_start_wait,
}


def main() -> None:
    """Measure, print, keep."""
    options = _options()
    with ExitStack() as stack:
        engines = [stack.enter_context(wherry())]
        if options.dockerd:
            engines.append(stack.enter_context(dockerd(options.dockerd)))
        else:
            print("bench: no dockerd here, so there is nothing to compare with", file=sys.stderr)
        for engine in engines:
            engine.docker("run", "-d", "--name", "sleeper", "busybox", "/bin/sleep", "100000")
        results = {
            f"{name}{'' if not pause else ', pauses of 150 ms'}": _measure(engines, case, options.runs, pause)
            for name, case in CASES.items()
            for pause in (0.0, PAUSE_SECONDS)
        }
        for engine in engines:
            _remove_all(engine)
    _print(results)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": platform.uname()._asdict(), "ms": results}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--dockerd", default=shutil.which("dockerd"), help="path of the peer")
    parser.add_argument("--json", help="keep the figures in this file")
    return parser.parse_args()


def _measure(engines: list[Engine], case: Case, runs: int, pause: float) -> dict[str, list[float]]:
    """Milliseconds of each run by engine, the engines taking turns so that both see the same machine."""
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for engine in engines:
        case(engine)
    for _ in range(runs):
        for engine in engines:
            time.sleep(pause)
            begun = time.perf_counter()
            case(engine)
            times[engine.name].append((time.perf_counter() - begun) * 1000)
    return times


def _remove_all(engine: Engine) -> None:
    ids = engine.docker("ps", "-aq").stdout.decode().split()
    if ids:
        engine.docker("rm", "-f", *ids)


def _print(results: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'median of the runs, ms':58}{'wherry':>10}{'dockerd':>10}{'ratio':>8}")
    for name, times in results.items():
        medians = {engine: statistics.median(values) for engine, values in times.items()}
        ours, theirs = medians["wherry"], medians.get("dockerd")
        row = f"{name:58}{ours:10.1f}"
        print(row if theirs is None else f"{row}{theirs:10.1f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
