"""Single verbs by the docker command line."""

from bench.engines import Engine
from bench.pair import AtMost, Pair, Times, Watch
from bench.raw import exec_and_wait


def start_sleeper(engine: Engine) -> None:
    """A container to do things to."""
    engine.docker("run", "-d", "--name", "sleeper", "busybox", "/bin/sleep", "100000")


def exec_true(engine: Engine, watch: Watch) -> None:
    """`docker exec C true`."""
    with watch:
        engine.docker("exec", "sleeper", "/bin/true")


def raw_exec(engine: Engine, watch: Watch) -> None:
    """The engine's own share of it."""
    with watch:
        exec_and_wait(engine, "sleeper")


def create(engine: Engine, watch: Watch) -> None:
    """`docker create`."""
    with watch:
        engine.docker("create", "busybox", "/bin/true")


def start(engine: Engine, watch: Watch) -> None:
    """`docker start` of a container that has not run yet."""
    name = engine.said("create", "busybox", "/bin/sleep", "100000")
    with watch:
        engine.docker("start", name)
    engine.docker("rm", "-f", name)


def stop(engine: Engine, watch: Watch) -> None:
    """`docker stop -t 0`: the signal, and no patience."""
    name = engine.said("run", "-d", "busybox", "/bin/sleep", "100000")
    with watch:
        engine.docker("stop", "-t", "0", name)
    engine.docker("rm", name)


def remove_running(engine: Engine, watch: Watch) -> None:
    """`docker rm -f` of a container that runs."""
    name = engine.said("run", "-d", "busybox", "/bin/sleep", "100000")
    with watch:
        engine.docker("rm", "-f", name)


PAIRS = (
    Pair(name="exec", title="`exec true`", measure=exec_true, prepare=start_sleeper, goal=Times(4)),
    Pair(name="raw-exec", title="the same by raw HTTP", measure=raw_exec, prepare=start_sleeper),
    Pair(name="create", title="`create`", measure=create, goal=AtMost(13.5)),
    Pair(name="start", title="`start`", measure=start, goal=Times(6)),
    Pair(name="stop", title="`stop -t 0`", measure=stop, goal=Times(5)),
    Pair(name="rm-running", title="`rm -f` of a running container", measure=remove_running, goal=Times(5)),
)
