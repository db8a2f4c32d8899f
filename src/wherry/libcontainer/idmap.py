"""user_namespaces(7): id maps written from outside, and user namespaces that only carry a map."""

import os
import signal
from collections.abc import Sequence

from wherry.linux import namespaces, process
from wherry.oci.runtime import IdMapping


def write_maps(pid: int, uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> None:
    """Write a process's uid and gid maps, each once and whole (user_namespaces(7)). Raises OSError."""
    _write(pid, "uid_map", uids)
    if os.geteuid() != 0:
        # An unprivileged writer must first give up setgroups(2), so that no group can be dropped to gain access.
        with open(f"/proc/{pid}/setgroups", "wb", buffering=0) as file:
            file.write(b"deny")
    _write(pid, "gid_map", gids)


def open_user_namespace(uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> int:
    """A descriptor of a new user namespace with these maps and nobody in it. Raises OSError."""
    pid, pidfd = process.clone3(namespaces.CLONE_NEWUSER)
    if pid == 0:
        while True:
            signal.pause()
    try:
        write_maps(pid, uids, gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        process.wait(pidfd)
        os.close(pidfd)


def _write(pid: int, name: str, mappings: Sequence[IdMapping]) -> None:
    text = "".join(f"{one.container_id} {one.host_id} {one.size}\n" for one in mappings)
    try:
        with open(f"/proc/{pid}/{name}", "wb", buffering=0) as file:
            file.write(text.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {name} {text.strip()!r}: {error.strerror}") from None
