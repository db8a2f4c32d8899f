"""A daemon that was killed takes connections for as long as the kernel needs to end it, and then resets them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as RawSocket  # noqa: N812 - as in dial

SOL_SOCKET, SO_PEERCRED = 1, 17
CREDENTIALS_BYTES = 12  # struct ucred: process, user, group

# Of /proc/PID/stat, counted from behind the name (proc_pid_stat(5)).
_STATE, _FLAGS, _PENDING = 0, 6, 28
_PF_EXITING = 0x4
_SIGKILL_BIT = 1 << 8
# One that the kernel cannot end, because it is frozen or waits for a disk, is not waited for longer.
_MILLISECONDS_MAX = 30_000


def await_end_of_doomed(connection: RawSocket) -> bool:
    """Whether who listens at the other end of a unix socket is on his way out; mostly he has gone when this returns.

    What he listened at may be another's by now: connecting once more tells.
    """
    pid = int.from_bytes(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, CREDENTIALS_BYTES)[:4], "little")
    if not _is_doomed(pid):
        return False
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        from select import POLLIN, poll

        waiting = poll()
        waiting.register(process, POLLIN)
        waiting.poll(_MILLISECONDS_MAX)
    finally:
        os.close(process)
    return True


def _is_doomed(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False  # of another process namespace, or one whose like we may not see
    return (
        fields[_STATE] in (b"Z", b"X")
        or bool(int(fields[_FLAGS]) & _PF_EXITING)
        or bool(int(fields[_PENDING]) & _SIGKILL_BIT)
    )
