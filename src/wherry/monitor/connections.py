"""A monitor's daemons: the one it was started by, and any that comes to its socket later."""

import functools
import os
import socket
import struct
from collections.abc import Callable

import msgspec

from wherry.monitor import wire
from wherry.monitor.loop import READ, Loop
from wherry.monitor.messages import FromMonitor, ToMonitor, read_to_monitor, write

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

Answer = tuple[FromMonitor, tuple[int, ...]]
Serve = Callable[[ToMonitor, list[int]], Answer]


class Connections:
    """Receives requests, sends the answers of `serve`, and tells everybody what happens."""

    def __init__(self, loop: Loop, listener: socket.socket, serve: Serve, *, on_lost: Callable[[], None]) -> None:
        """Listen. `on_lost` hears that a daemon is gone."""
        self._loop = loop
        self._listener = listener
        self._serve = serve
        self._on_lost = on_lost
        self._open: dict[int, tuple[socket.socket, wire.Receiver]] = {}
        loop.watch(listener.fileno(), READ, self._accept)

    def add(self, connection: socket.socket) -> None:
        """Serve one more."""
        connection.setblocking(False)
        self._open[connection.fileno()] = (connection, wire.Receiver())
        self._loop.watch(connection.fileno(), READ, functools.partial(self._receive, connection.fileno()))

    def tell(self, message: FromMonitor, fds: tuple[int, ...] = ()) -> None:
        """Send to every daemon; one that cannot take it is dropped, and will ask when it comes back."""
        for fd in list(self._open):
            self._send(fd, message, fds)

    def stop_listening(self) -> None:
        """Take no more daemons."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()

    def close(self) -> None:
        """Close all."""
        for fd in list(self._open):
            self._drop(fd)

    def _accept(self, _: int) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(data)[1] != os.geteuid():
            connection.close()
            return
        self.add(connection)

    def _receive(self, fd: int, _: int) -> None:
        connection, receiver = self._open[fd]
        try:
            received = receiver.receive(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(fd)
            return
        if received is None:
            return
        try:
            request = read_to_monitor(received[0])
        except msgspec.DecodeError:
            wire.close_all(received[1])
            self._drop(fd)
            return
        answer, fds = self._serve(request, received[1])
        self._send(fd, answer, fds)

    def _send(self, fd: int, message: FromMonitor, fds: tuple[int, ...]) -> None:
        if fd not in self._open:
            return
        try:
            wire.send(self._open[fd][0], write(message), fds)
        except OSError:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        connection, receiver = self._open.pop(fd)
        self._loop.forget(fd)
        receiver.close()
        connection.close()
        self._on_lost()
