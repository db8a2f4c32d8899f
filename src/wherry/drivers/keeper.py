"""The daemon's side of the keeper: met where another daemon left it, or started; started again when it is killed."""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from wherry.monitor import keeping, rundir, wire
from wherry.monitor.keeper import CONNECTION, LISTENER, command
from wherry.monitor.keeping import Record
from wherry.monitor.messages import Kept, read_kept

_LOG = logging.getLogger(__name__)
_SOCKET = "keeper.sock"
_BACKLOG = 16
_ANSWER_SECONDS = 10.0
_DEATHS_MAX = 3
_HIGH_FD = 10


class KeeperFailed(OSError):
    """The keeper cannot be reached, or could not do it."""


class Found(Struct, frozen=True):
    """What the keeper held for a container: each thing, and all their descriptors in order."""

    kept: tuple[Kept, ...]
    fds: tuple[int, ...]


class Keeper:
    """`on_replaced` hears that another one had to be started, which holds nothing yet."""

    def __init__(self, exec_root: str, on_replaced: Callable[[], None]) -> None:
        """Meet it at `exec_root`, start nothing yet."""
        self._exec_root = exec_root
        self._on_replaced = on_replaced
        self._connection: socket.socket | None = None
        self._asking = asyncio.Lock()
        self._answer: asyncio.Future[list[Record]] | None = None
        self._heard: list[Record] = []
        self._deaths = 0

    def open(self) -> None:
        """Be connected to one; it need not be ready yet. Raises OSError."""
        self._connection = self._meet() or self._start()
        self._connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._receive)

    async def close(self) -> None:
        """Hang up; returns when it knows. It goes on while a monitor needs it, else it leaves nothing behind."""
        connection, self._connection = self._connection, None
        if connection:
            loop = asyncio.get_running_loop()
            loop.remove_reader(connection.fileno())
            with connection, contextlib.suppress(OSError, TimeoutError):
                connection.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(_ANSWER_SECONDS):
                    while await loop.sock_recv(connection, 1):
                        pass
        self._hang_up()

    async def spawn(self, arguments: Sequence[str], fds: tuple[int, ...]) -> tuple[int, int]:
        """Have a nursery started below it: its pid and pidfd. Raises KeeperFailed."""
        (answer,) = await self._ask(Record(keeping.SPAWN, body="\0".join(arguments).encode(), fds=fds))
        return answer.pid, answer.fds[0]

    async def give(self, owner: str) -> Found:
        """What it holds for a container whose monitor is dead, nothing when it cannot say. The copies are ours."""
        try:
            answers = await self._ask(Record(keeping.GIVE, owner.encode()))
        except KeeperFailed as error:
            _LOG.warning("container %s: what was kept of it is lost: %s", owner, error)
            return Found((), ())
        kept = []
        for answer in answers:
            one = read_kept(answer.body)
            kept.append(msgspec.structs.replace(one, fds=(*one.fds, "status")) if answer.pid else one)
        return Found(tuple(kept), tuple(fd for answer in answers for fd in answer.fds))

    def drop(self, owner: str) -> None:
        """Let go of all that is held for a container."""
        if self._connection:
            with contextlib.suppress(OSError):
                keeping.send(self._connection, keeping.packets([Record(keeping.DROP, owner.encode())])[0])

    def line(self) -> socket.socket:
        """A new connection to it, for monitors. Raises KeeperFailed."""
        ours, theirs = wire.pair()
        with theirs:
            try:
                self._send(Record(keeping.LINE, fds=(theirs.fileno(),)))
            except KeeperFailed:
                ours.close()
                raise
        return ours

    async def _ask(self, question: Record) -> list[Record]:
        async with self._asking:
            self._answer = asyncio.get_running_loop().create_future()
            self._send(question)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answers = await self._answer
            except TimeoutError:
                self._lost()  # what it says later must not be taken for another answer
                raise KeeperFailed("the keeper does not answer") from None
            finally:
                self._answer = None
        self._deaths = 0
        if answers and answers[-1].what == keeping.FAILED:
            raise KeeperFailed(answers[-1].body.decode())
        return answers

    def _send(self, record: Record) -> None:
        if self._connection is None:
            raise KeeperFailed("there is no keeper")
        try:
            keeping.send(self._connection, keeping.packets([record])[0])
        except OSError as error:
            self._lost()
            raise KeeperFailed(f"the keeper cannot be asked: {error}") from None

    def _receive(self) -> None:
        assert self._connection is not None
        try:
            records = keeping.receive(self._connection)
        except BlockingIOError:
            return
        except OSError:
            self._lost()
            return
        for record in records:
            if record.what == keeping.END:
                self._say(self._heard)
            elif record.what == keeping.FAILED:
                self._say([record])
            else:
                self._heard.append(record)

    def _say(self, answers: list[Record]) -> None:
        self._heard = []
        if self._answer and not self._answer.done():
            self._answer.set_result(answers)
        else:
            keeping.close_all([fd for answer in answers for fd in answer.fds])

    def _lost(self) -> None:
        self._hang_up()
        self._deaths += 1
        if self._deaths > _DEATHS_MAX:
            _LOG.error("the keeper does not stay alive; monitors that are killed lose terminals and sessions")
            return
        _LOG.warning("the keeper ended; starting another one")
        self.open()
        self._on_replaced()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            asyncio.get_running_loop().remove_reader(connection.fileno())
            connection.close()
        keeping.close_all([fd for record in self._heard for fd in record.fds])
        self._heard = []
        if self._answer and not self._answer.done():
            self._answer.set_exception(KeeperFailed("the keeper is gone"))
            self._answer.exception()  # whoever waits for it gets it; nobody need

    def _meet(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with rundir.opened(self._exec_root) as directory:
                connection.connect(rundir.socket_path(directory, _SOCKET))
        except (ConnectionRefusedError, FileNotFoundError):
            connection.close()
            return None
        return connection

    def _start(self) -> socket.socket:
        ours, theirs = wire.pair()
        with theirs, rundir.opened(self._exec_root) as directory:
            rundir.remove(directory, _SOCKET)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                path = rundir.socket_path(directory, _SOCKET)
                listener.bind(path)
                os.chmod(path, 0o600)
                listener.listen(_BACKLOG)
                pid = _spawn(listener, theirs, os.path.join(os.path.abspath(self._exec_root), _SOCKET))
        _reap_later(pid)
        return ours


def _spawn(listener: socket.socket, connection: socket.socket, path: str) -> int:
    executable = os.path.realpath(sys.executable)
    # Above the numbers that they are to get, so that none is overwritten before it was copied.
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD) for each in (listener, connection)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
        (os.POSIX_SPAWN_DUP2, high[0], LISTENER),
        (os.POSIX_SPAWN_DUP2, high[1], CONNECTION),
    ]
    try:
        arguments = command(executable, (package_path(),), path)
        return os.posix_spawn(executable, arguments, {}, file_actions=actions, setsid=True)
    finally:
        keeping.close_all(high)


def package_path() -> str:
    """Where this package is imported from."""
    path = __file__
    for _ in __name__.split("."):
        path = os.path.dirname(path)
    return path


def _reap_later(pid: int) -> None:
    """What was started forks the keeper and ends: it is to be nobody's child."""
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(pid)

    def reap() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)

    loop.add_reader(pidfd, reap)
