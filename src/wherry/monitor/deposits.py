"""What a monitor has the keeper hold: copies of its descriptors, for the one that takes over should it be killed."""

import os
import socket

from wherry.monitor import keeping, wire
from wherry.monitor.keeping import Record
from wherry.monitor.loop import WRITE, Loop

_RELEASE_SECONDS = 1.0


class Deposits:
    """One container's, by name. What the keeper does not take at once it is told later; nobody waits for it.

    Nothing is said before the first `flush`, and between `hold` and the next one.
    """

    def __init__(self, loop: Loop, line: socket.socket, owner: str) -> None:
        """Speak to the keeper on `line`, which may be shared with others: a packet is said whole or not at all."""
        self._loop = loop
        self._line: socket.socket | None = line
        self._owner = owner.encode()
        self._kept: dict[str, Record] = {}
        self._unsaid: dict[str, None] = {}
        self._held = True

    def put(self, name: str, fds: tuple[int, ...], body: bytes, *, pid: int = 0) -> None:
        """Have it hold copies of `fds` under a name, in place of what it held; `pid` is whom they are about.

        They stay the caller's; before one is closed, the name is put anew or dropped.
        """
        record = Record(keeping.PUT, self._owner, name.encode(), body, pid=pid, by=os.getpid(), fds=fds)
        self._kept[name] = record
        self._say(name)

    def drop(self, name: str) -> None:
        """Have it let go of a name; one that it does not hold is fine."""
        self._kept.pop(name, None)
        self._say(name)

    def hold(self) -> None:
        """Say nothing until the next `flush`."""
        self._held = True

    def flush(self) -> None:
        """Say what was not said yet."""
        self._held = False
        if self._unsaid and self._line is not None:
            self._loop.forget(self._line.fileno())
            for packet in keeping.packets([self._record(name) for name in self._unsaid]):
                if not self._send(packet):
                    break
            else:
                self._unsaid.clear()
        if self._line is None:
            self._unsaid.clear()

    def move(self, line: socket.socket) -> None:
        """There is another keeper: say all to that one."""
        if self._line is not None:
            self._loop.forget(self._line.fileno())
            self._line.close()
        self._line = line
        self._unsaid = dict.fromkeys(self._kept)
        self.flush()

    def begin_release(self, name: str) -> int | None:
        """Drop a name now; a descriptor for `end_release`, None when nothing was held."""
        if self._kept.pop(name, None) is None or self._line is None:
            return None
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._unsaid.pop(name, None)
        said = self._send(keeping.packets([Record(keeping.DROP, self._owner, name.encode(), fds=(writing,))])[0])
        os.close(writing)
        if said:
            return reading
        os.close(reading)
        return None

    def end(self) -> None:
        """Have it let go of everything."""
        if self._kept and self._line is not None:
            self._kept.clear()
            self._unsaid.clear()
            self._send(keeping.packets([Record(keeping.DROP, self._owner)])[0])

    def _record(self, name: str) -> Record:
        return self._kept.get(name) or Record(keeping.DROP, self._owner, name.encode())

    def _say(self, name: str) -> None:
        self._unsaid[name] = None
        if not self._held:
            self.flush()

    def _send(self, packet: tuple[bytes, list[int]]) -> bool:
        assert self._line is not None
        try:
            keeping.send(self._line, packet, socket.MSG_DONTWAIT)
        except ConnectionError:  # the keeper was killed; a daemon starts another and tells us of it
            self._loop.forget(self._line.fileno())
            self._line.close()
            self._line = None
            return False
        except OSError:  # no room now
            self._loop.watch(self._line.fileno(), WRITE, lambda _: self.flush())
            return False
        return True


def end_release(reading: int | None) -> None:
    """Wait until the keeper has closed what it held: nobody may find a port taken by what has ended."""
    if reading is None:
        return
    try:
        wire.await_end(reading, _RELEASE_SECONDS)
    finally:
        os.close(reading)
