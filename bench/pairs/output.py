"""What containers write: into the log, and out of it again."""

import subprocess
from collections.abc import Callable

from bench import inputs
from bench.engines import Engine, docker_cli
from bench.pair import Pair, Times, Watch
from bench.raw import read_logs

MEGABYTES = 200
LOG_LINES = 1_000_000
# Ours rotates by default, dockerd does not.
UNROTATED = ("--log-driver", "json-file", "--log-opt", "max-size=10g")


def write_log(shortest: int, longest: int, log: tuple[str, ...] = UNROTATED) -> Callable[[Engine, Watch], None]:
    """A container that writes all of a file to its stdout, from `docker run -d` until it has exited."""

    def measure(engine: Engine, watch: Watch) -> None:
        path = inputs.lines(engine.inputs, shortest=shortest, longest=longest, megabytes=MEGABYTES)
        with watch:
            name = engine.said(
                "run", "-d", "--network", "none", *log, "-v", f"{path}:/lines:ro",
                "busybox", "/bin/cat", "/lines",
            )  # fmt: skip
            code = engine.said("wait", name)
        assert code == "0", code
        engine.docker("rm", name)

    return measure


def fill_log(engine: Engine) -> None:
    """A container with a long log."""
    path = inputs.numbered_lines(engine.inputs, LOG_LINES)
    engine.docker(
        "run", "--name", "talker", "-d", *UNROTATED, "-v", f"{path}:/lines:ro", "busybox", "/bin/cat", "/lines"
    )
    engine.docker("wait", "talker")


def read_log(engine: Engine, watch: Watch) -> None:
    """`docker logs` into a file of nothing."""
    with watch:
        subprocess.run(
            [docker_cli(), "logs", "talker"], env=engine.environment(), stdout=subprocess.DEVNULL, check=True
        )


def read_log_raw(engine: Engine, watch: Watch) -> None:
    """The same without the command line's work; a frame for each line is part of the bargain."""
    with watch:
        data = read_logs(engine, "talker")
    # Eight bytes of header before each line.
    size = inputs.numbered_lines(engine.inputs, LOG_LINES).stat().st_size
    assert len(data) == size + 8 * LOG_LINES, len(data)


PAIRS = (
    Pair(
        name="log-short-lines",
        title="200 MB to stdout, lines of 20 to 60 bytes, until exit",
        measure=write_log(20, 60),
        goal=Times(5),
        runs=5,
        pauses=False,
    ),
    Pair(
        name="log-local",
        title="the same into the driver `local`, rotated and compressed",
        measure=write_log(20, 60, ("--log-driver", "local")),
        goal=Times(3),
        runs=5,
        pauses=False,
    ),
    Pair(
        name="log-long-lines",
        title="200 MB to stdout, lines of 3 to 8 KB, until exit",
        measure=write_log(3000, 8000),
        goal=Times(1.3),
        runs=9,
        pauses=False,
    ),
    Pair(
        name="logs",
        title="`logs` of a million lines",
        prepare=fill_log,
        measure=read_log,
        goal=Times(7),
        runs=5,
        pauses=False,
    ),
    Pair(
        name="raw-logs",
        title="the same by raw HTTP, one frame per line",
        prepare=fill_log,
        measure=read_log_raw,
        goal=Times(7),
        runs=5,
        pauses=False,
    ),
)
