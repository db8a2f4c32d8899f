"""Starting `wherryd` when nobody answers, and waiting until it does."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

from wherry.cli.errors import CommandError
from wherry.client.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.client import Client

LOG = "/var/log/wherryd.log"
LOCK = "/run/wherryd.starting"
SHOWN_LINES_MAX = 10
SHOWN_BYTES_MAX = 8192


def start(client: Client, program: str = "") -> None:
    """Start the daemon in a session of its own and return once it serves; `client` tells where it will listen.

    Two programs that find no daemon start only one: the second waits for the first. Raises CommandError with the
    daemon's last words when it does not come up.
    """
    program = program or os.path.join(os.path.dirname(sys.executable), "wherryd")
    with open(LOCK, "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answers(client):
            _start(client, program)


def _start(client: Client, program: str) -> None:
    ready, theirs = os.pipe()
    with open(LOG, "ab") as log, open(ready, "rb", buffering=0) as came_up:
        began = log.tell()
        try:
            subprocess.Popen(
                [program, "--ready-fd", str(theirs)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs,),
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise CommandError(f"cannot start the daemon: {program}: {error.strerror}") from error
        finally:
            os.close(theirs)
        came_up.read(1)  # a byte, or the end: the daemon serves, or it is gone
    if not _answers(client):
        raise CommandError(f"the daemon did not come up; its last words, from {LOG}:\n{_last_words(began)}")


def _answers(client: Client) -> bool:
    try:
        client.connect()
    except Unreachable:
        return False
    client.close()
    return True


def _last_words(began: int) -> str:
    with open(LOG, "rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(began, size - SHOWN_BYTES_MAX))
        words = log.read().decode("utf-8", "replace").splitlines()
    return "\n".join(words[-SHOWN_LINES_MAX:])
