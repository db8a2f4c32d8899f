"""An engine in this process, from its start to its end, and who cleans up when the process is killed."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from wherry.client.address import Address
from wherry.client.dial import Wire
from wherry.client.errors import Unreachable
from wherry.python.errors import EngineFailed
from wherry.python.plan import Plan
from wherry.python.where import Place

NOT_ROOT = "an engine in this process needs root, as it makes namespaces, mounts and networks: try sudo"
# What the guardian hears when there is nothing left to do; the end of its input without that is our death.
DONE = b"done"


class LocalEngine:
    """One engine from `start` to `close`. A process beside this one ends what is left when this one is killed."""

    def __init__(self, plan: Plan) -> None:
        """Start nothing yet."""
        self.plan = plan
        self._undo = ExitStack()
        self._dial = _refuse

    @property
    def place(self) -> Place:
        """Where it is spoken to, from `start` to `close`."""
        return Place(Address("unix", f"engine:{self.plan.root}"), dialler=self._connect)

    def start(self) -> None:
        """Return when it serves. Raises EngineFailed."""
        if os.geteuid() != 0:
            raise EngineFailed(NOT_ROOT)
        with ExitStack() as undo:
            if self.plan.is_temporary:
                self.plan.root.mkdir(0o700)
                undo.callback(shutil.rmtree, self.plan.root, ignore_errors=True)
            if not self.plan.keep:
                undo.callback(_dismiss, _guard(self.plan))
            self._open(undo)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """End its containers unless they are to be kept, and then itself. Safe to repeat."""
        try:
            self._undo.close()
        finally:
            self._dial = _refuse

    def _connect(self) -> Wire:
        try:
            return self._dial()
        except ConnectionRefusedError as error:
            raise Unreachable(f"engine:{self.plan.root}", error, absent=True) from error

    def _open(self, undo: ExitStack) -> None:
        from wherry.python.private import open_engine  # noqa: PLC0415 - a client does without the whole engine

        try:
            thread = open_engine(self.plan, undo)
        except Exception as error:
            raise EngineFailed(f"the engine in this process cannot start: {error}") from error
        self._dial = lambda: Wire(thread.dial())


def _refuse() -> Wire:
    raise ConnectionRefusedError("the engine in this process does not run")


def _guard(plan: Plan) -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    words = [str(plan.root), plan.bridge, str(int(plan.is_temporary)), plan.storage_driver]
    return subprocess.Popen(
        [sys.executable, "-m", "wherry.python.guardian", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd="/",
    )


def _dismiss(guardian: "subprocess.Popen[bytes]") -> None:
    guardian.communicate(DONE)
