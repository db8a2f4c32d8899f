"""The daemon's end of a connection to a nursery or a monitor: questions with answers, and what is told unasked."""

import asyncio
import itertools
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from wherry.monitor import wire
from wherry.monitor.messages import FromMonitor, FromNursery, Refused, Start, ToMonitor, ToNursery, write

Heard = TypeVar("Heard", bound=Struct)
Received = tuple[Heard, list[int]]


class Channel(Generic[Heard]):
    """Belongs to the running loop. `on_told` gets messages without a question; `on_lost` comes once, at the end."""

    def __init__(
        self,
        connection: socket.socket,
        read: Callable[[bytes], Heard],
        *,
        on_told: Callable[[Heard, list[int]], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Take over the socket."""
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._read = read
        self._on_told = on_told
        self._on_lost = on_lost
        self._receiver = wire.Receiver()
        self._serials = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Received[Heard]]] = {}
        self._unsent: deque[wire.Packet] = deque()
        self.is_open = True
        self._closes_when_idle = False
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._receive)

    async def ask(
        self, question: Callable[[int], ToMonitor | ToNursery | Start], fds: Sequence[int] = ()
    ) -> Received[Heard]:
        """Send a question made with a fresh serial number; its answer, which may be a Refused, with descriptors.

        The descriptors stay the caller's, open until this returns. Raises ConnectionLost.
        """
        if not self.is_open:
            raise wire.ConnectionLost("the connection has ended")
        serial = next(self._serials)
        answer: asyncio.Future[Received[Heard]] = self._loop.create_future()
        self._waiting[serial] = answer
        memfd = None
        try:
            packets, memfd = wire.packets(write(question(serial)), tuple(fds))
            self._unsent += packets
            self._send()
            return await answer
        finally:
            self._waiting.pop(serial, None)
            if self._closes_when_idle and not self._waiting:
                self.close()
            if memfd is not None:
                os.close(memfd)

    def close(self) -> None:
        """End it; questions without an answer raise ConnectionLost."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._receiver.close()
        self._socket.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(wire.ConnectionLost("the connection has ended"))
        self._on_lost()

    def close_when_idle(self) -> None:
        """End it when the last question is answered."""
        self._closes_when_idle = True
        if not self._waiting:
            self.close()

    def _send(self) -> None:
        try:
            while self._unsent:
                wire.send_packet(self._socket, self._unsent[0])
                self._unsent.popleft()
            self._loop.remove_writer(self._socket.fileno())
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self._send)
        except OSError:
            self.close()

    def _receive(self) -> None:
        try:
            received = self._receiver.receive(self._socket)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if received is not None:
            self._hear(self._read(received[0]), received[1])

    def _hear(self, message: Heard, fds: list[int]) -> None:
        answer = self._waiting.get(getattr(message, "serial", 0))
        if answer and not answer.done():
            answer.set_result((message, fds))
        else:
            self._on_told(message, fds)


def refusal(message: FromMonitor | FromNursery) -> Refused | None:
    """The message, when it is a refusal."""
    return message if isinstance(message, Refused) else None
