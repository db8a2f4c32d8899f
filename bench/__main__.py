"""`python -m bench`: every pair, in turn, with and without pauses; a table for people and JSON for programs."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

from bench import report
from bench.engines import Engine, dockerd, wherry
from bench.host import run_apart
from bench.pair import Pair, Row, Watch, row
from bench.pairs import every_pair

RUNS = 15
PAUSE_SECONDS = 0.15


def main() -> None:
    """Measure, print, keep."""
    options = _options()
    chosen = [pair for pair in every_pair() if any(fnmatch(pair.name, pattern) for pattern in options.names)]
    if not chosen:
        sys.exit(f"bench: nothing is called {' or '.join(options.names)}; --list says what there is")
    if options.list:
        print("\n".join(f"{pair.name:22}{pair.goal or ''!s:10} {pair.title}" for pair in chosen))
        return
    if not options.dockerd:
        print("bench: no dockerd here, so there is nothing to compare with", file=sys.stderr)
    sys.exit(run_apart(lambda directory: _measure_all(chosen, options, directory)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", default=["*"], help="what to measure, such as 'run-*'; everything if none")
    parser.add_argument("--list", action="store_true", help="say what there is to measure, and its goals")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often; what takes long is done less often")
    parser.add_argument("--no-pauses", action="store_true", help="leave out the runs with pauses of 150 ms between")
    parser.add_argument("--dockerd", default=report.installed_dockerd(), help="path of the peer; '' for none")
    parser.add_argument("--json", type=Path, help="keep the figures in this file, among those it has")
    parser.add_argument("--page", type=Path, help="write the figures (with --json: all it has) into this page")
    return parser.parse_args()


def _measure_all(pairs: list[Pair], options: argparse.Namespace, directory: Path) -> None:
    with ExitStack() as stack:
        engines = [stack.enter_context(wherry(directory))]
        if options.dockerd:
            engines.append(stack.enter_context(dockerd(directory, options.dockerd)))
        machine = report.machine(engines, directory)
        rows = []
        print(report.HEADING)
        for pair in pairs:
            for measured in _measure(engines, pair, options.runs, pauses=not options.no_pauses):
                print(report.line(measured), flush=True)
                rows.append(measured)
            # After each, so that what was measured stays when the rest is interrupted.
            report.keep(rows, machine, json_file=options.json, page=options.page)


def _measure(engines: list[Engine], pair: Pair, runs: int, *, pauses: bool) -> Iterator[Row]:
    """A pair without and with pauses, the engines taking turns so that both see the same machine."""
    for engine in engines:
        if pair.prepare:
            pair.prepare(engine)
        pair.measure(engine, Watch(0))  # warm
    for pause in (0, PAUSE_SECONDS) if pauses and pair.pauses else (0,):
        figures: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for _ in range(min(runs, pair.runs or runs)):
            for engine in engines:
                watch = Watch(pause)
                pair.measure(engine, watch)
                figures[engine.name].append(watch.figure)
        yield row(pair, figures, paused=pause > 0)
    for engine in engines:
        engine.remove_all()


if __name__ == "__main__":
    main()
