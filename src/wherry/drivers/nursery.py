"""The daemon's nursery: started with it, started again when it is killed."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence

import msgspec

from wherry.drivers.channel import Channel
from wherry.drivers.keeper import Keeper, KeeperFailed, package_path
from wherry.monitor import wire
from wherry.monitor.messages import Forked, FromNursery, Refused, ToNursery, read_from_nursery
from wherry.monitor.nursery import command

_LOG = logging.getLogger(__name__)
_TRIES = 3
_STDERR_BYTES = 65536


class NurseryFailed(OSError):
    """No monitor could be forked."""


class Nursery:
    """Started below the keeper, so that what its monitors leave behind when they are killed is the keeper's."""

    def __init__(self, keeper: Keeper) -> None:
        """Start nothing yet."""
        self._keeper = keeper
        self._life: _Life | None = None
        self._lives: dict[_Life, asyncio.Task[None]] = {}

    @property
    def pid(self) -> int:
        """Of the process that runs now, 0 when it is not known yet."""
        return self._life.pid if self._life else 0

    def open(self) -> None:
        """Start it; what is asked before it is ready waits. Raises OSError."""
        self._life = life = _Life(self._lost)
        self._lives[life] = task = asyncio.get_running_loop().create_task(life.live(self._keeper))
        task.add_done_callback(lambda _: self._lives.pop(life))

    async def fork(self, question: Callable[[int], ToNursery], fds: Sequence[int], *, tries: int = _TRIES) -> int:
        """Have a monitor forked; its pid. Raises NurseryFailed."""
        for _ in range(tries):
            if self._life is None or not self._life.channel.is_open:
                self.open()
            assert self._life is not None
            try:
                answer, _fds = await self._life.channel.ask(question, fds)
            except wire.ConnectionLost:
                continue  # it was killed, and another one runs by now
            match answer:
                case Forked():
                    return answer.pid
                case Refused():
                    raise NurseryFailed(answer.message)
        raise NurseryFailed("the nursery of monitors does not stay alive")

    def renew(self) -> None:
        """Have another one: the keeper was killed, and this one is not below the new one."""
        old = self._life
        self.open()
        if old:
            old.retire()

    async def close(self) -> None:
        """Let it end; returns when it has."""
        self._life = None
        for life in list(self._lives):
            life.channel.close()
        await asyncio.gather(*self._lives.values())

    def _lost(self, life: "_Life") -> None:
        if life is self._life and life.pid:
            _LOG.warning("the nursery of monitors ended; starting another one")
            self.open()


class _Life:
    """One process, from its start to its end."""

    def __init__(self, on_lost: Callable[["_Life"], None]) -> None:
        """Have a channel to it before it is there."""
        ours, self._theirs = wire.pair()
        self.pid = 0
        self._on_lost = on_lost
        self.channel: Channel[FromNursery] = Channel(ours, read_from_nursery, on_told=_close, on_lost=self._hang_up)

    async def live(self, keeper: Keeper) -> None:
        """Start it and read what it writes to stderr, until it has ended."""
        stderr, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(theirs, True)
        arguments = command(os.path.realpath(sys.executable), _paths())
        try:
            self.pid, pidfd = await keeper.spawn(arguments, (self._theirs.fileno(), theirs))
        except KeeperFailed as error:
            _LOG.error("no nursery of monitors can be started: %s", error)
            os.close(stderr)
            return
        finally:
            os.close(theirs)
            self._theirs.close()
        loop = asyncio.get_running_loop()
        loop.add_reader(stderr, _log_stderr, stderr)
        try:
            await self._end(pidfd)
        finally:
            loop.remove_reader(stderr)
            _log_stderr(stderr)
            os.close(stderr)
            os.close(pidfd)

    def retire(self) -> None:
        """Let it end when it has answered."""
        self.channel.close_when_idle()

    def _hang_up(self) -> None:
        self._on_lost(self)

    async def _end(self, pidfd: int) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(pidfd)


def _close(_: FromNursery, fds: list[int]) -> None:
    wire.close_all(fds)


def _log_stderr(stderr: int) -> None:
    try:
        data = os.read(stderr, _STDERR_BYTES)
    except BlockingIOError:
        return
    if not data:
        asyncio.get_running_loop().remove_reader(stderr)
    for line in data.decode(errors="replace").splitlines():
        _LOG.error("monitor: %s", line)


def _paths() -> tuple[str, ...]:
    """Where this package and its only dependency there are imported from."""
    return tuple(dict.fromkeys((package_path(), os.path.dirname(os.path.dirname(msgspec.__file__)))))
