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
_PROGRAM = "import sys; sys.path[:] = {path!r}; from wherry.networks.namespace_worker import main; main({fd})"


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

    def start(self) -> None:
        """Start the worker now, in the network namespace of the caller. Raises OSError."""
        if self._running is None:
            self._running = _spawn()
            asyncio.get_running_loop().add_reader(self._running.control, self._receive, self._running)

    def make(self, plan: Make) -> "asyncio.Future[int]":
        """The descriptor of a new namespace; whoever awaits it owns it. Raises EngineError in the kernel's words."""
        return self._send(plan, [])  # type: ignore[return-value]

    async def tune(self, netns_fd: int, sysctls: tuple[tuple[str, str], ...]) -> None:
        """Write kernel parameters inside. Raises EngineError in the kernel's words."""
        await self._send(Tune(sysctls=sysctls), [netns_fd])

    async def close(self) -> None:
        """End the worker and wait for it. Safe to repeat."""
        if (running := self._running) is not None:
            self._abandon(running)
            await asyncio.to_thread(running.process.wait)

    def _send(self, order: Order, fds: list[int]) -> "asyncio.Future[int | None]":
        self.start()
        running = self._running
        assert running is not None
        answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(running.control, [msgspec.json.encode(order)], fds)
        except OSError as error:
            answered.set_exception(Unavailable(f"the maker of network namespaces does not take orders: {error}"))
        else:
            running.waiting.append(answered)
        return answered

    def _receive(self, running: _Running) -> None:
        try:
            packet, fds, _, _ = socket.recv_fds(running.control, ANSWER_BYTES_MAX, 1)
        except OSError:
            packet, fds = b"", []
        if not packet:
            self._abandon(running)
            # Reaps it; it has closed its end, so this does not take long.
            running.process.wait()
            return
        _settle(running.waiting.popleft(), msgspec.json.decode(packet, type=Answer), fds)

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
        )
    ours.setblocking(False)
    return _Running(process, ours, deque())
