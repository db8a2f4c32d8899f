"""Bytes through a container's standard streams."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

from bench import inputs
from bench.engines import Engine, docker_cli
from bench.pair import Pair, Times, Watch

MEGABYTES = 500
_READ_BYTES = 1 << 18


def in_and_out(engine: Engine, watch: Watch) -> None:
    """`docker run -i IMAGE cat` from a file; what comes out is what went in."""
    path = inputs.noise(engine.inputs, megabytes=MEGABYTES)
    output = engine.inputs / "output"
    command = [docker_cli(), "run", "--rm", "-i", "--network", "none", "--log-driver", "none", "busybox", "/bin/cat"]
    with path.open("rb") as source, output.open("wb") as sink, watch:
        subprocess.run(command, env=engine.environment(), stdin=source, stdout=sink, check=True)
    assert _sum(output) == _expected(path)
    output.unlink()


@cache
def _expected(path: Path) -> str:
    return _sum(path)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


PAIRS = (
    Pair(
        name="pipe",
        title="`cat 500MB | docker run -i IMG cat`, in and out",
        measure=in_and_out,
        goal=Times(1.3),
        runs=7,
        pauses=False,
    ),
)
