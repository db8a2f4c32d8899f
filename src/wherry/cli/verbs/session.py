"""`session`: run a command, and remove the containers and volumes that it made when it has ended, however it did.

The command's DOCKER_CONFIG is a copy of the user's whose config.json adds the session's header to every request:
docker, compose, docker-py and testcontainers read it as `wherry` does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from wherry.cli.errors import CommandError
from wherry.cli.flags import Flag, Verb
from wherry.cli.options.quantities import DURATION
from wherry.cli.settings import load, store
from wherry.client import sessions
from wherry.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session
    from wherry.client.client import Answer

HEADER = "X-Wherry-Session"
VARIABLE = "WHERRY_SESSION"
NANOSECONDS = 10**9
# A daemon that is started anew waits ten seconds for those who were there.
RETURN_SECONDS = 10.0
RETRY_SECONDS = 0.1
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class Holder:
    """Holds a session by an open connection; when a daemon is started anew, by another one."""

    def __init__(self, session: Session, grace_seconds: float) -> None:
        self._session = session
        self._done = threading.Event()
        self._answer = session.client.send(sessions.hold(grace_seconds=grace_seconds))
        lines = self._answer.lines()
        self.id: str = next(lines)["Id"]
        self._thread = threading.Thread(target=self._hold, args=(lines,), daemon=True)
        self._thread.start()

    def release(self) -> None:
        """End the session, and see that nothing of it is left."""
        self._done.set()
        try:
            self._session.new_client().send(sessions.end(self.id)).read()
        except ClientError:
            self._answer.close()  # that ends it as well

    def _hold(self, lines: Any) -> None:
        while not self._done.is_set():
            try:
                for _ in lines:
                    pass
            except (ClientError, OSError):
                pass
            again = None if self._done.is_set() else self._join()
            if again is None:
                return
            self._answer, lines = again, again.lines()

    def _join(self) -> Answer | None:
        deadline = time.monotonic() + RETURN_SECONDS
        while time.monotonic() < deadline and not self._done.wait(RETRY_SECONDS):
            try:
                return self._session.new_client().send(sessions.hold(self.id))
            except ClientError:
                continue  # not there yet; or the session is gone, and waiting harms nobody
        return None


def _run(session: Session, given: Given, command: list[str]) -> int:
    holder = Holder(session, given["grace"] / NANOSECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="wherry-session-") as directory:
            _configure(session, holder.id, directory)
            return _status_of(command, _environment(session, holder.id, directory))
    finally:
        holder.release()


def _configure(session: Session, session_id: str, directory: str) -> None:
    """The user's configuration with one header more; credentials, contexts and plugins are his own."""
    own = session.config_directory
    for name in os.listdir(own) if os.path.isdir(own) else ():
        if name != "config.json":
            os.symlink(os.path.join(os.path.abspath(own), name), os.path.join(directory, name))
    config = load(own)
    config["HttpHeaders"] = {**(config.get("HttpHeaders") or {}), HEADER: session_id}
    store(directory, config)


def _environment(session: Session, session_id: str, directory: str) -> dict[str, str]:
    return {
        **os.environ,
        VARIABLE: session_id,
        "DOCKER_CONFIG": directory,
        "DOCKER_HOST": session.client.address.text,
        # There is nothing for its reaper to do.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }


def _status_of(command: list[str], environment: dict[str, str]) -> int:
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise CommandError(f"wherry: {command[0]}: command not found", status=NOT_FOUND)
    try:
        child = subprocess.Popen(command, executable=program, env=environment)
    except OSError as error:
        raise CommandError(f"wherry: {command[0]}: {error.strerror}", status=NOT_EXECUTABLE) from error
    # The terminal interrupts both; what the command makes of it is what counts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in FORWARDED:
        signal.signal(number, lambda received, _: child.send_signal(received))
    status = child.wait()
    return 128 - status if status < 0 else status


SESSION = Verb(
    "[OPTIONS] COMMAND [ARG...]",
    _run,
    Flag("grace", "", DURATION, "How long to wait for a lost client (ms|s|m|h)", default=0, shown_default="0s"),
    arguments=(1, None),
    interspersed=False,
)
