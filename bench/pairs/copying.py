"""Files into a container and out of it, and images of what it changed."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import inputs, raw
from bench.engines import Engine
from bench.pair import Pair, Times, Watch

MEGABYTES = 100
_numbers = itertools.count()


def prepare(engine: Engine) -> None:
    """A container that runs, with a large file in it."""
    engine.docker("run", "-d", "--name", "copied", "--network=none", "busybox", "/bin/sleep", "100000")
    engine.docker("cp", str(inputs.noise(engine.inputs, megabytes=MEGABYTES)), "copied:/big")


def copy_in(engine: Engine, watch: Watch) -> None:
    """A tar of one large file, sent by raw HTTP."""
    path = inputs.noise(engine.inputs, megabytes=MEGABYTES)
    archive = engine.inputs / f"{path.name}.tar"
    if not archive.exists():
        subprocess.run(["tar", "-C", path.parent, "-cf", archive, path.name], check=True)
    with watch:
        raw.send_archive(engine, "copied", "/", archive)


def copy_out(engine: Engine, watch: Watch) -> None:
    """The same, read by raw HTTP and thrown away."""
    with watch:
        raw.take_archive(engine, "copied", "/big")


def copy_in_by_docker(engine: Engine, watch: Watch) -> None:
    """By the docker command line, which reads, packs and sends."""
    path = str(inputs.noise(engine.inputs, megabytes=MEGABYTES))
    with watch:
        engine.docker("cp", path, "copied:/big")


def copy_out_by_docker(engine: Engine, watch: Watch) -> None:
    """By the docker command line, which unpacks."""
    with watch:
        engine.docker("cp", "copied:/big", str(engine.inputs / f"out-{engine.name}"))


def commit(engine: Engine, watch: Watch) -> None:
    """Of what the container has become."""
    with watch:
        engine.docker("commit", "copied", "committed")
    engine.docker("rmi", "committed")


def commit_small(engine: Engine, watch: Watch) -> None:
    """Of one small file that is another one each time."""
    with _small(engine) as name, watch:
        engine.docker("commit", name, "committed")


def commit_small_raw(engine: Engine, watch: Watch) -> None:
    """The same by raw HTTP."""
    with _small(engine) as name, watch:
        raw.commit(engine, name, "committed")


@contextmanager
def _small(engine: Engine) -> Iterator[str]:
    name = f"small-{next(_numbers)}"
    engine.docker("run", "--name", name, "--network=none", "busybox", "/bin/sh", "-c", f"echo {name} >/file")
    yield name
    engine.docker("rm", name)
    engine.docker("rmi", "committed")


def _pair(
    name: str, title: str, measure: Callable[[Engine, Watch], None], *, large: bool = True, goal: Times | None = None
) -> Pair:
    ready = prepare if large else None
    return Pair(name=name, title=title, measure=measure, prepare=ready, goal=goal, runs=7, pauses=not large)


PAIRS = (
    _pair("cp-in", f"{MEGABYTES} MB into a container by raw HTTP", copy_in, goal=Times(2)),
    _pair("cp-out", f"{MEGABYTES} MB out of a container by raw HTTP", copy_out, goal=Times(2)),
    _pair("cp-in-docker", f"`cp` of {MEGABYTES} MB in", copy_in_by_docker),
    _pair("cp-out-docker", f"`cp` of {MEGABYTES} MB out", copy_out_by_docker),
    _pair("commit-large", f"`commit` of {MEGABYTES} MB", commit, goal=Times(2)),
    _pair("commit-small", "`commit` of one file", commit_small, large=False, goal=Times(2)),
    _pair("commit-small-raw", "the same by raw HTTP", commit_small_raw, large=False),
)
