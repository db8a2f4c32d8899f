"""A container's runtime directory: what must outlive its monitor, and the socket it is met at.

```
EXEC_ROOT/containers/<id>/     0700
    plan.json       what the monitor was told (Plan); in it no session
    alive.json      who runs (Alive), from the birth on
    journal         the log output in hand (journal.py); its lock says that a monitor lives
    sessions        which clients' bytes are in hand (seats.py), from the first client on
    monitor.sock    the monitor listens here
    exit.json       how the container ended (ExitRecord); durable before anybody is told
    bundle, place   of a container with hooks (bundle.py)
```
All is reached through the directory's descriptor: the nursery's root has no such path. That descriptor is locked while
a container is being born, wherever it is on its way from the daemon to the monitor: should the daemon die meanwhile,
the next one waits until there is a container, or none.
"""

import contextlib
import fcntl
import mmap
import os
import socket
from collections.abc import Iterator

from wherry.monitor.messages import (
    Alive,
    ExitRecord,
    Plan,
    Surroundings,
    read_alive,
    read_exit,
    read_plan,
    read_surroundings,
    write,
)

PLAN, ALIVE, EXIT = "plan.json", "alive.json", "exit.json"
JOURNAL, SESSIONS, SOCKET = "journal", "sessions", "monitor.sock"
_BACKLOG = 16


def save(directory: int, name: str, record: Plan | Alive | ExitRecord, *, durable: bool = False) -> None:
    """Write a record, whole or not at all; with `durable` it survives a power cut too. Raises OSError."""
    temporary = f".{name}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        _write_all(fd, write(record))
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    if durable:
        os.fsync(directory)


def begin_birth(directory: int) -> None:
    """A container is on its way. Raises BlockingIOError when another is."""
    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)


def end_birth(directory: int) -> None:
    """It is there. Where it failed, the lock goes with the last descriptor."""
    fcntl.flock(directory, fcntl.LOCK_UN)


def is_in_birth(directory: int) -> bool:
    """Whether a container is on its way; to be asked by a descriptor of one's own."""
    try:
        fcntl.flock(directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(directory, fcntl.LOCK_UN)
    return False


def load_plan(directory: int) -> Plan | None:
    """The plan; None when there is none. Raises OSError, msgspec.DecodeError."""
    data = _load(directory, PLAN)
    return None if data is None else read_plan(data)


def load_surroundings(directory: int) -> Surroundings:
    """What of the plan a further process needs. Raises OSError, msgspec.DecodeError."""
    data = _load(directory, PLAN)
    if data is None:
        raise FileNotFoundError("the container's runtime directory was emptied")
    return read_surroundings(data)


def load_alive(directory: int) -> Alive | None:
    """Who runs, or ran last; None before the birth. Raises OSError, msgspec.DecodeError."""
    data = _load(directory, ALIVE)
    return None if data is None else read_alive(data)


def load_exit(directory: int) -> ExitRecord | None:
    """How the container ended; None while it lives. Raises OSError, msgspec.DecodeError."""
    data = _load(directory, EXIT)
    return None if data is None else read_exit(data)


def open_journal(directory: int) -> int:
    """The journal's descriptor, locked: waits until a dying forerunner has let go of it. Raises OSError."""
    fd = os.open(JOURNAL, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def map_sessions(directory: int, size: int) -> mmap.mmap:
    """The bytes of the file `sessions`, zeros at first. Raises OSError, also where the disk is full."""
    fd = os.open(SESSIONS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        os.posix_fallocate(fd, 0, size)  # a write into a mapping with no block behind it would be a SIGBUS
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)


def listener() -> socket.socket:
    """A socket that `listen` makes the one a daemon meets the monitor at. Raises OSError."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def listen(directory: int, listener: socket.socket) -> None:
    """Listen there; a forerunner's is replaced. Raises OSError."""
    remove(directory, SOCKET)
    listener.bind(socket_path(directory, SOCKET))
    listener.listen(_BACKLOG)


def connect(directory: int) -> socket.socket:
    """A connection to the monitor. Raises ConnectionRefusedError, FileNotFoundError when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(socket_path(directory, SOCKET))
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A directory's descriptor. Raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        os.close(directory)


def remove(directory: int, name: str) -> None:
    """Unlink a file; one that is not there is fine. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def socket_path(directory: int, name: str) -> str:
    """Through the descriptor: the path proper may be longer than the 107 bytes a socket's name can have."""
    return f"/proc/self/fd/{directory}/{name}"


def _load(directory: int, name: str) -> bytes | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read()


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
