"""The daemon's nursery: started with it, started again when it is killed."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import msgspec

from wherry.drivers.channel import Channel
from wherry.monitor import wire
from wherry.monitor.messages import Forked, FromNursery, Reaped, Refused, ToNursery, read_from_nursery
from wherry.monitor.nursery import CONNECTION, command

_LOG = logging.getLogger(__name__)
_TRIES = 3
_STDERR_BYTES = 65536


class NurseryFailed(OSError):
    """No monitor could be forked."""


class Nursery:
    """`on_reaped` hears of children whose monitor was killed: their pid and exit code."""

    def __init__(self, on_reaped: Callable[[int, int], None]) -> None:
        """Start nothing yet."""
        self._on_reaped = on_reaped
        self._channel: Channel[FromNursery] | None = None
        self._pid = 0
        self._pidfd = -1
        self._stderr = -1
        self._closing = False

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._pid

    def open(self) -> None:
        """Start it. Raises OSError."""
        ours, theirs = wire.pair()
        self._stderr, stderr = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(stderr, True)
        with theirs:
            self._pid = _spawn(theirs.fileno(), stderr)
        os.close(stderr)
        self._pidfd = os.pidfd_open(self._pid)
        asyncio.get_running_loop().add_reader(self._stderr, self._log_stderr)
        self._channel = Channel(ours, read_from_nursery, on_told=self._hear, on_lost=self._lost)

    async def fork(self, question: Callable[[int], ToNursery], fds: Sequence[int]) -> int:
        """Have a monitor forked; its pid. Raises NurseryFailed."""
        for _ in range(_TRIES):
            assert self._channel is not None
            try:
                answer, _fds = await self._channel.ask(question, fds)
            except wire.ConnectionLost:
                continue  # it was killed, and another one runs by now
            match answer:
                case Forked():
                    return answer.pid
                case Refused():
                    raise NurseryFailed(answer.message)
        raise NurseryFailed("the nursery of monitors does not stay alive")

    async def close(self) -> None:
        """Let it end; returns when it has."""
        self._closing = True
        if self._channel:
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(self._pidfd, ended.set)
            self._channel.close()
            await ended.wait()
            self._reap()

    def _lost(self) -> None:
        if self._closing:
            return
        _LOG.warning("the nursery of monitors ended; starting another one")
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)  # should it only have hung up
        self._reap()
        self.open()

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        loop.remove_reader(self._stderr)
        os.waitpid(self._pid, 0)
        self._log_stderr()
        os.close(self._pidfd)
        os.close(self._stderr)

    def _hear(self, message: FromNursery, fds: list[int]) -> None:
        wire.close_all(fds)
        if isinstance(message, Reaped):
            self._on_reaped(message.pid, message.code)

    def _log_stderr(self) -> None:
        try:
            data = os.read(self._stderr, _STDERR_BYTES)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._stderr)
        for line in data.decode(errors="replace").splitlines():
            _LOG.error("monitor: %s", line)


def _spawn(connection: int, stderr: int) -> int:
    executable = os.path.realpath(sys.executable)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
        (os.POSIX_SPAWN_DUP2, connection, CONNECTION),
    ]
    # Its own session: what the daemon's terminal sends to the daemon's group is not meant for containers.
    arguments = command(executable, _paths())
    ordinary = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
    # What the daemon ignores or blocks, containers would inherit.
    return os.posix_spawn(
        executable, arguments, {}, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ordinary
    )


def _paths() -> tuple[str, ...]:
    """Where this package and its only dependency there are imported from."""
    own = __file__
    for _ in __name__.split("."):
        own = os.path.dirname(own)
    return tuple(dict.fromkeys((own, os.path.dirname(os.path.dirname(msgspec.__file__)))))
