"""The process that workers are forked from: a bare interpreter with every job imported, so that each begins at once.

It takes orders on one socket, a packet each: the job's name and its arguments, parted by NUL, with descriptors. The
first three become the worker's 0, 1 and 2; an argument `@N` stands for the Nth after these. The answer is a packet
with the worker's pidfd. It touches nothing itself, and ends with the daemon.
"""

import gc
import os
import select
import socket
import sys
from collections.abc import Callable

from wherry.linux.prctl import set_name
from wherry.storage.jobs import apply, capture, changes, copy, diff, look, measure, mount, put, reach, take

ORDER_BYTES_MAX = 1 << 17
DESCRIPTORS_MAX = 250  # SCM_MAX_FD is 253
NAME = b"wherry-foreman"
WORKER_NAME = b"wherry-worker"
STREAMS = 3

JOBS: dict[bytes, Callable[[], None]] = {
    b"apply": apply.main,
    b"capture": capture.main,
    b"changes": changes.main,
    b"copy": copy.main,
    b"diff": diff.main,
    b"look": look.main,
    b"measure": measure.main,
    b"mount": mount.main,
    b"put": put.main,
    b"reach": reach.main,
    b"take": take.main,
}


def main(control_fd: int) -> None:
    """Serve orders until the daemon has gone."""
    set_name(NAME)
    Foreman(socket.socket(fileno=control_fd)).run()


class Foreman:
    """Knows its children only until they are reaped."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._children: set[int] = set()
        gc.disable()
        gc.freeze()

    def run(self) -> None:
        """Until the other end of the socket is closed."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._control, ORDER_BYTES_MAX, DESCRIPTORS_MAX)
        if not packet:
            return False
        pid = os.fork()
        if not pid:
            self._become_worker(packet.split(b"\0"), fds)
        # Not reaped yet, so the number is still this child's.
        pidfd = os.pidfd_open(pid)
        for fd in fds:
            os.close(fd)
        self._children.add(pidfd)
        self._poll.register(pidfd, select.POLLIN)
        socket.send_fds(self._control, [b"%d" % pid], [pidfd])
        return True

    def _reap(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        self._children.discard(pidfd)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)

    def _become_worker(self, words: list[bytes], fds: list[int]) -> None:
        status = 1
        try:
            self._control.close()
            for child in self._children:
                os.close(child)
            set_name(WORKER_NAME)
            for number, fd in enumerate(fds[:STREAMS]):
                os.dup2(fd, number)
                os.close(fd)
            sys.argv[1:] = [_argument(word, fds[STREAMS:]) for word in words[1:]]
            JOBS[words[0]]()
            status = 0
        except Exception:  # noqa: BLE001 - a worker has no caller: its report tells, and then it ends
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)


def _argument(word: bytes, fds: list[int]) -> str:
    return str(fds[int(word[1:])]) if word.startswith(b"@") else os.fsdecode(word)
