"""The daemon's side of making network namespaces: orders go to the worker process, descriptors come back."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass

import msgspec

from wherry.model.errors import EngineError, Unavailable
from wherry.networks.plan import Answer, Make, Order, Tune

ANSWER_BYTES_MAX = 1 << 16
# More would not fit into the socket, and the worker does one at a time anyway.
ORDERS_UNDER_WAY_MAX = 32
ATTEMPTS_MAX = 2
# msgspec imports typing_extensions where it is; that, like dataclasses, brings `inspect`: a fifth of a worker's memory.
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; sys.modules['typing_extensions'] = None; "
    "from wherry.networks.namespace_worker import main; main({fd})"
)


@dataclass(slots=True)
class _Ordered:
    packet: bytes
    fds: list[int]
    answered: "asyncio.Future[int | None]"
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    # The worker answers in the order of the orders.
    waiting: "deque[asyncio.Future[int | None]]"


class NamespaceMaker:
    """Keeps one worker process; a dead one is replaced at the next order."""

    def __init__(self) -> None:
        """Nothing runs before `start`."""
        self._running: _Running | None = None
        self._queue: deque[_Ordered] = deque()

    def start(self) -> None:
        """Start the worker now, in the network namespace of the caller. Raises OSError."""
        self._ensure()

    def make(self, plan: Make) -> "asyncio.Future[int]":
        """The descriptor of a new namespace; whoever awaits it owns it. Raises EngineError in the kernel's words."""
        return self._order(plan, [])  # type: ignore[return-value]

    async def tune(self, netns_fd: int, sysctls: tuple[tuple[str, str], ...]) -> None:
        """Write kernel parameters inside. Raises EngineError in the kernel's words."""
        await self._order(Tune(sysctls=sysctls), [netns_fd])

    async def close(self) -> None:
        """End the worker and wait for it. Safe to repeat."""
        for ordered in self._queue:
            ordered.answered.cancel()
        self._queue.clear()
        if (running := self._running) is not None:
            self._abandon(running)
            await asyncio.to_thread(running.process.wait)

    def _order(self, order: Order, fds: list[int]) -> "asyncio.Future[int | None]":
        answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Ordered(msgspec.json.encode(order), fds, answered))
        self._send()
        return answered

    def _ensure(self) -> _Running:
        if self._running is None:
            self._running = _spawn()
            asyncio.get_running_loop().add_reader(self._running.control, self._receive, self._running)
        return self._running

    def _send(self) -> None:
        """Hand over what the worker can take now."""
        while self._queue:
            running = self._ensure()
            if len(running.waiting) >= ORDERS_UNDER_WAY_MAX:
                return
            ordered = self._queue.popleft()
            if ordered.answered.done():
                continue  # given up by its caller
            ordered.attempts += 1
            try:
                socket.send_fds(running.control, [ordered.packet], ordered.fds)
            except OSError as error:
                self._abandon(running)
                self._try_again(ordered, error)
            else:
                running.waiting.append(ordered.answered)

    def _try_again(self, ordered: _Ordered, error: OSError) -> None:
        if ordered.attempts < ATTEMPTS_MAX:
            self._queue.appendleft(ordered)
        else:
            reason = f"the maker of network namespaces takes no orders: {error}"
            ordered.answered.set_exception(Unavailable(reason))

    def _receive(self, running: _Running) -> None:
        try:
            packet, fds, _, _ = socket.recv_fds(running.control, ANSWER_BYTES_MAX, 1)
        except OSError:
            packet, fds = b"", []
        if packet:
            _settle(running.waiting.popleft(), msgspec.json.decode(packet, type=Answer), fds)
        else:
            self._abandon(running)
            # Reaps it; it has closed its end, so this does not take long.
            running.process.wait()
        self._send()

    def _abandon(self, running: _Running) -> None:
        asyncio.get_running_loop().remove_reader(running.control)
        running.control.close()
        if self._running is running:
            self._running = None
        for answered in running.waiting:
            if not answered.done():
                answered.set_exception(Unavailable("the maker of network namespaces died"))
        running.waiting.clear()


def _settle(answered: "asyncio.Future[int | None]", answer: Answer, fds: list[int]) -> None:
    if answered.done():
        # Its caller was cancelled: nobody else closes what came for it.
        for fd in fds:
            os.close(fd)
    elif answer.error:
        answered.set_exception(EngineError(answer.error))
    else:
        answered.set_result(fds[0] if fds else None)


def _spawn() -> _Running:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        program = _PROGRAM.format(path=[entry for entry in sys.path if entry], fd=theirs.fileno())
        # -S leaves out site, whose work is half of a start; the path is ours already.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # An interrupt at the terminal is for the daemon, with which the worker ends anyway.
            start_new_session=True,
        )
    ours.setblocking(False)
    return _Running(process, ours, deque())
