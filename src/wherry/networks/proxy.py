"""The daemon's side of relaying ports of IPv6 addresses: starts the relay process when needed, tells it what to do."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from wherry.model.errors import Conflict
from wherry.networks.relay import WORD_BYTES_MAX, Drop, Keep, Kept, Relay, Serve, Word
from wherry.networks.reservations import reserve

ANSWER_SECONDS = 5.0
_PROGRAM = "import sys; sys.path[:] = {path!r}; from wherry.networks.relay_worker import main; main({fd})"
_log = logging.getLogger(__name__)


class Proxy:
    """Knows what is to be relayed; the process that does it lives on when this daemon does not."""

    def __init__(self, path: Path) -> None:
        """`path` is where the process listens: in a directory that only root enters."""
        self._path = path
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._relays: set[Relay] = set()
        self._asking = asyncio.Lock()

    async def open(self, wanted: Collection[Relay]) -> None:
        """Meet a process that is there from before, and have it relay exactly these; start one if there are any."""
        self._relays = set(wanted)
        if self._connect() or wanted:
            await self._resume()

    async def serve(self, relay: Relay, bound_fd: int) -> None:
        """Relay one more port. The process may still be starting: the socket listens already."""
        self._relays.add(relay)
        if not await self._tell(Serve(relay=relay), [bound_fd]):
            # It died; a new one gets everything anew, this one's socket included.
            await self._tell(Serve(relay=relay), [bound_fd])
            await self._resume()

    async def drop(self, relays: Collection[Relay]) -> None:
        """Stop relaying; the ports are free on return. Safe to repeat."""
        known = tuple(relay for relay in relays if relay in self._relays)
        self._relays.difference_update(known)
        if known and self._control is not None:
            await self._ask(Drop(relays=known))

    async def close(self) -> None:
        """Hang up; what is relayed goes on, and a process that has nothing to relay ends."""
        self._hang_up()
        process, self._process = self._process, None
        if process is not None and not self._relays:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, ANSWER_SECONDS)

    async def _resume(self) -> None:
        """Agree on what is relayed, and hand over sockets for what is missing."""
        for relay in self._relays - set(await self._ask(Keep(relays=tuple(self._relays)))):
            try:
                bound = reserve(relay.protocol, relay.host_ip, relay.host_port, deaf=False)
            except Conflict as error:
                _log.warning("port %d of [%s] is not relayed: %s", relay.host_port, relay.host_ip, error)
                continue
            if bound is not None:
                with bound:
                    await self._tell(Serve(relay=relay), [bound.fileno()])

    async def _ask(self, word: Drop | Keep) -> tuple[Relay, ...]:
        """What is relayed after it obeyed; nothing when it is not there to answer."""
        async with self._asking:
            if not await self._tell(word, []) or self._control is None:
                return ()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await asyncio.get_running_loop().sock_recv(self._control, WORD_BYTES_MAX)
                return msgspec.json.decode(answer, type=Kept).relays
            except (OSError, TimeoutError, msgspec.DecodeError) as error:
                # An answer that comes late must not be taken for the next one's.
                _log.warning("the relay of IPv6 ports does not answer: %s", error)
                self._hang_up()
                return ()

    async def _tell(self, word: Word, fds: list[int]) -> bool:
        """Whether it was there to hear; one that is not there is met or started first."""
        if self._control is None and not self._connect():
            self._start()
        packet = [msgspec.json.encode(word)]
        while (control := self._control) is not None:
            try:
                socket.send_fds(control, packet, fds)
            except BlockingIOError:
                await _writable(control)
            except OSError:
                self._hang_up()
            else:
                return True
        return False

    def _hang_up(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _connect(self) -> bool:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with self._reachable() as path:
                control.connect(path)
        except OSError:
            control.close()
            return False
        control.setblocking(False)
        self._control = control
        return True

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[str]:
        """The socket's path in few letters: addresses of sockets have room for 107."""
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{directory}/{self._path.name}"
        finally:
            os.close(directory)

    def _start(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            with self._reachable() as path:
                listener.bind(path)
            os.chmod(self._path, 0o600)
            listener.listen()
            program = _PROGRAM.format(path=[entry for entry in sys.path if entry], fd=listener.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", program],
                pass_fds=(listener.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Nothing of the daemon is kept: neither its log nor its directory.
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        self._connect()


async def _writable(control: socket.socket) -> None:
    """Wait until a process that has much to read has read some."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(control, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(control)
