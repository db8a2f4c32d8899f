"""The engines' own command lines as processes: the time that a shell waits for them."""

import subprocess

from bench.engines import Engine
from bench.pair import Pair, Times, Watch


def listing(engine: Engine, watch: Watch) -> None:
    """`wherry ps` beside `docker ps`, each against its own engine."""
    with watch:
        subprocess.run([engine.command, "ps"], env=engine.environment(), capture_output=True, check=True)


PAIRS = (Pair(name="ps", title="`wherry ps` beside `docker ps`", measure=listing, goal=Times(1)),)
