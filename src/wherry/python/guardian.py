"""A process beside an engine in a Python program: if the program is killed, it ends what the engine has left.

Usage: python -m wherry.python.guardian ROOT BRIDGE IS_TEMPORARY STORAGE_DRIVER.
Its input is a pipe that the program holds open.
"""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from wherry.python.local import DONE
from wherry.python.plan import Plan


def main() -> None:
    """Wait for the program's end."""
    root, bridge, is_temporary, storage = sys.argv[1:]
    plan = Plan(root=Path(root), bridge=bridge, is_temporary=is_temporary == "1", storage_driver=storage)
    if sys.stdin.buffer.read() != DONE:
        _end(plan)


def _end(plan: Plan) -> None:
    from wherry.python.private import open_engine  # noqa: PLC0415 - seldom needed, and much

    with ExitStack() as undo:
        if plan.is_temporary:
            undo.callback(shutil.rmtree, plan.root, ignore_errors=True)
        open_engine(plan, undo)


if __name__ == "__main__":
    main()
