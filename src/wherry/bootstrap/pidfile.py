"""The pidfile: one daemon at a time for one set of directories."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wherry.bootstrap.flags import FlagError


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Write our pid, and remove the file at the end. Raises FlagError when another daemon runs by it."""
    running = _running(path)
    if running:
        raise FlagError(
            f"failed to start daemon, ensure wherryd is not running or delete {path}: "
            f"process with PID {running} is still running"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(os.getpid()))
    except OSError as error:
        raise FlagError(f"failed to start daemon: {error}") from None
    try:
        yield
    finally:
        if _read(path) == os.getpid():
            path.unlink()


def _running(path: Path) -> int:
    pid = _read(path)
    return pid if pid and pid != os.getpid() and _is_alive(pid) else 0


def _is_alive(pid: int) -> bool:
    """One that was killed is in /proc until its parent has reaped it: as a zombie (proc_pid_stat(5))."""
    try:
        # The name in parentheses may hold anything.
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in {b"Z", b"X"}


def _read(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() else 0
