"""The nursery: a small, warm process that forks a monitor for each container.

It is started with the daemon and ends with it. Everything that a monitor needs is imported here once, so a start
pays neither an interpreter's start nor an import. It is single-threaded, holds no secret, and is no subreaper: when a
monitor is killed, its container becomes the keeper's child, which outlives us.
"""

import codecs
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable

from wherry.libcontainer import cgroups
from wherry.linux import heap, signals
from wherry.monitor import forked, identity, jsonlog, root, title, wire
from wherry.monitor.berth import Berth
from wherry.monitor.keeper import NURSERY_CONNECTION, NURSERY_LINE
from wherry.monitor.loop import READ, Loop
from wherry.monitor.messages import Forked, FromNursery, Refused, Spare, TakeOver, read_to_nursery, write

# Several times what a monitor needs for one read of a busy log; it is given back when all is quiet.
_FREED_BYTES_MAX = 2 * 1024 * 1024
_QUIET = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Nursery:
    """Serves one daemon."""

    def __init__(self, connection: socket.socket, line: socket.socket) -> None:
        """Watch the daemon and the children. `line` is for the monitors: it leads to the keeper."""
        self._connection = connection
        self._line = line
        self._receiver = wire.Receiver()
        self._loop = Loop()
        self._signals = signals.open_signalfd((signal.SIGCHLD,))
        self._loop.watch(connection.fileno(), READ, self._receive)
        self._loop.watch(self._signals, READ, self._reap)

    def run(self) -> None:
        """Until the daemon is gone."""
        self._loop.run()

    def _receive(self, _: int) -> None:
        try:
            received = self._receiver.receive(self._connection)
        except BlockingIOError:
            return
        except wire.ConnectionLost:
            self._loop.stop()
            return
        if received is None:
            return
        request, fds = read_to_nursery(received[0]), received[1]
        try:
            self._fork(request, fds)
        except OSError as error:
            self._send(Refused(serial=request.serial, message=f"cannot fork a monitor: {error}", exit_code=128))
        finally:
            wire.close_all(fds)

    def _fork(self, request: Spare | TakeOver, fds: list[int]) -> None:
        if isinstance(request, TakeOver):
            pid = self._forked(lambda: forked.take_over(request, fds, self._line))
        else:
            with contextlib.closing(Berth()) as berth:
                pid = self._forked(lambda: forked.wait(berth, fds, self._line))
        self._send(Forked(serial=request.serial, pid=pid))

    def _forked(self, work: Callable[[], None]) -> int:
        pid = os.fork()
        if not pid:
            os._exit(forked.guarded(lambda: self._become(work)))
        return pid

    def _become(self, work: Callable[[], None]) -> None:
        """In the child: drop what is the nursery's, be a monitor."""
        self._loop.close()
        self._connection.close()
        os.close(self._signals)
        work()

    def _reap(self, _: int) -> None:
        signals.read_signalfd(self._signals)
        while True:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return

    def _send(self, message: FromNursery) -> None:
        try:
            wire.send(self._connection, write(message))
        except OSError:
            self._loop.stop()


def main() -> None:
    """Started as `python -I -S -c …`: first `outside`, then again, from its own root, `inside`."""
    stage, paths = sys.argv[1], tuple(path for path in sys.argv[2].split(":") if path)
    if stage == "outside":
        executable = os.path.realpath("/proc/self/exe")
        root.enter(root.views(_packages(paths)))
        os.execv(executable, [*sys.orig_argv[:5], "inside", *sys.orig_argv[6:]])  # noqa: S606 - itself
    title.set_title("wherry-nursery", "wherry-nursery")
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, *_QUIET))
    for fd in (NURSERY_CONNECTION, NURSERY_LINE):
        os.set_inheritable(fd, False)
    nursery = Nursery(socket.socket(fileno=NURSERY_CONNECTION), socket.socket(fileno=NURSERY_LINE))
    _warm_up()
    gc.collect()
    gc.freeze()
    nursery.run()


def _warm_up() -> None:
    """Do once what each monitor would do for itself otherwise: late imports, looking at what never changes."""
    heap.keep_freed(_FREED_BYTES_MAX)
    codecs.lookup("ascii")
    identity.boot_id()
    jsonlog.encode(b"warm\n", stream="stdout", first_ns=1)
    with contextlib.suppress(cgroups.CgroupError):
        cgroups.version()


def command(executable: str, paths: tuple[str, ...]) -> list[str]:
    """The arguments that start a nursery, with the modules found on `paths`."""
    # msgspec does without typing_extensions, which imports `inspect`: 1.1 MB.
    code = (
        "import sys; sys.path += sys.argv[2].split(':'); sys.modules['typing_extensions'] = None; "
        "from wherry.monitor.nursery import main; main()"
    )
    return [executable, "-I", "-S", "-c", code, "outside", ":".join(paths), title.ROOM]


def _packages(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{path}/{name}" for path in paths for name in ("wherry", "msgspec") if os.path.isdir(f"{path}/{name}")
    )
