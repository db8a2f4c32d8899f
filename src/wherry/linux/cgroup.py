"""cgroups(7): what is mounted where, and the small text files that are its system calls."""

import os
import select
from typing import NamedTuple

from wherry.linux.mountinfo import read_mountinfo, unescape

_PROC_FILE_BYTES = 1 << 16


class Hierarchy(NamedTuple):
    """One mounted tree of cgroups. `controllers` are its v1 options such as `cpu`, `name=systemd`; empty on v2."""

    version: int
    directory: str
    controllers: tuple[str, ...]


def hierarchies() -> tuple[Hierarchy, ...]:
    """The trees mounted in this mount namespace, each once, in the order of mounting. Raises OSError."""
    return parse_mountinfo(read_mountinfo())


def parse_mountinfo(text: str) -> tuple[Hierarchy, ...]:
    """The cgroup trees in a mountinfo (proc_pid_mountinfo(5)); a tree mounted twice counts where it was first."""
    found: dict[tuple[str, ...], Hierarchy] = {}
    for line in text.splitlines():
        place, separator, source = line.partition(" - ")
        if not separator or not source.startswith("cgroup"):
            continue
        directory = unescape(place.split(" ")[4])
        kind, _, options = source.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault((), Hierarchy(2, directory, ()))
        elif kind == "cgroup":
            controllers = tuple(word for word in options.split(",") if _is_controller(word))
            found.setdefault(controllers, Hierarchy(1, directory, controllers))
    return tuple(found.values())


def write(directory_fd: int, name: str, value: str) -> None:
    """Write one value with one write(2), as the kernel wants it. Raises OSError."""
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def read(directory_fd: int, name: str) -> str:
    """The whole of a file. Raises OSError."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        return read_all(fd)
    finally:
        os.close(fd)


def read_all(fd: int) -> str:
    """The whole of an open file from its start. Raises OSError."""
    chunks, offset = [], 0
    while chunk := os.pread(fd, _PROC_FILE_BYTES, offset):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks).decode()


def parse_keyed(text: str) -> dict[str, int]:
    """A flat keyed file, `KEY NUMBER` on each line; lines of another form are left out."""
    values = {}
    for line in text.splitlines():
        key, _, number = line.partition(" ")
        if number.isascii() and number.isdigit():
            values[key] = int(number)
    return values


def wait_for_event(fd: int, timeout_seconds: float) -> bool:
    """Wait until the kernel announces a change of an open `*.events` file; read it before the first call too."""
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    return bool(poll.poll(timeout_seconds * 1000))


def out_of_memory_eventfd(directory_fd: int) -> int:
    """An eventfd(2) that counts the times a v1 memory cgroup ran out of memory. Raises OSError."""
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        control = os.open("memory.oom_control", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory_fd)
        try:
            write(directory_fd, "cgroup.event_control", f"{event} {control}")
        finally:
            os.close(control)
    except OSError:
        os.close(event)
        raise
    return event


def _is_controller(option: str) -> bool:
    # What else the superblock's options may hold (cgroup v1, Documentation/admin-guide/cgroup-v1/cgroups.rst).
    return option not in ("rw", "ro", "xattr", "noprefix", "clone_children") and not option.startswith(
        ("release_agent=", "cpuset_v2_mode", "favordynmods")
    )
