"""Single verbs by the docker command line."""

from bench.engines import Engine
from bench.pair import Pair, Times, Watch


def start_sleeper(engine: Engine) -> None:
    """A container to do things to."""
    engine.docker("run", "-d", "--name", "sleeper", "busybox", "/bin/sleep", "100000")


def exec_true(engine: Engine, watch: Watch) -> None:
    """`docker exec C true`."""
    with watch:
        engine.docker("exec", "sleeper", "/bin/true")


def create(engine: Engine, watch: Watch) -> None:
    """`docker create`."""
    with watch:
        engine.docker("create", "busybox", "/bin/true")


PAIRS = (
    Pair(name="exec", title="`exec true`", measure=exec_true, prepare=start_sleeper, goal=Times(4)),
    Pair(name="create", title="`create`", measure=create),
)
