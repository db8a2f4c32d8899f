"""The seats of a container's attached clients: what must be known of their sessions when their monitor is killed.

Each session has a number, under which the keeper holds its socket, and a byte of the file `sessions` in the runtime
directory, which says whether the monitor has bytes of it in hand: taken from one side and not yet given to the other.
Such bytes die with the monitor. A session that had none goes on under the next monitor; one that had some ends, as
nobody should take what has a gap for the whole; only a terminal's goes on, for there people see what they lack. One
that was held back ends as well: the next monitor could not tell when it may speak.
"""

import mmap
import socket
from collections.abc import Callable

from wherry.monitor import rundir
from wherry.monitor.deposits import Deposits
from wherry.monitor.messages import Kept, SessionPlan, write

SEATS_MAX = 4096
_HELD = 2


class Seat:
    """One session's. `leave` when it has ended."""

    def __init__(self, page: mmap.mmap, number: int, leave: Callable[[], None]) -> None:
        """Take over the byte at `number`."""
        self._page = page
        self._number = number
        self.leave = leave

    def mark(self, *, busy: bool) -> None:
        """Say whether bytes of it are in hand."""
        self._page[self._number] = busy


class Seats:
    """All of one container's. The file is made with the first; what finds no seat any more is served without one."""

    def __init__(self, directory: int, deposits: Deposits) -> None:
        """Keep the file in this runtime directory."""
        self._directory = directory
        self._deposits = deposits
        self._page: mmap.mmap | None = None
        self._free: list[int] = []
        self._used = 0

    def row(self, exec_id: str = "") -> "Row":
        """Those of the container's own clients, or of an exec's."""
        return Row(self, exec_id)

    def take(self, connection: socket.socket, plan: SessionPlan, exec_id: str) -> Seat | None:
        """A seat for a client; the keeper holds its socket from now on."""
        page = self._mapped()
        if page is None or (not self._free and self._used == SEATS_MAX):
            return None
        if not self._free:
            self._free.append(self._used)
            self._used += 1
        number = self._free.pop()
        page[number] = _HELD if plan.key else 0
        return self._sit(page, number, connection, plan, exec_id)

    def take_again(self, kept: Kept, connection: socket.socket) -> Seat | None:
        """The seat of a client whose monitor was killed. Raises ConnectionResetError when it cannot go on."""
        page, session, number = self._mapped(), kept.session, kept.seat
        assert session is not None
        if page is None or page[number] == _HELD or (session.framed and page[number]):
            self.give_up(kept)
            raise ConnectionResetError("its monitor was killed with bytes of it in hand, or before it might speak")
        self._free += range(self._used, number)
        self._free = [free for free in self._free if free != number]
        self._used = max(self._used, number + 1)
        return self._sit(page, number, connection, session, kept.exec_id)

    def give_up(self, kept: Kept) -> None:
        """The client of a killed monitor is not served any more."""
        self._deposits.drop(_name(kept.seat))

    def _sit(self, page: mmap.mmap, number: int, connection: socket.socket, plan: SessionPlan, exec_id: str) -> Seat:
        name = _name(number)
        kept = Kept(fds=("socket",), session=plan, seat=number, exec_id=exec_id)
        self._deposits.put(name, (connection.fileno(),), write(kept))

        def leave() -> None:
            self._deposits.drop(name)
            self._free.append(number)

        return Seat(page, number, leave)

    def _mapped(self) -> mmap.mmap | None:
        if self._page is None:
            try:
                self._page = rundir.map_sessions(self._directory, SEATS_MAX)
            except OSError:  # the disk is full: the session is served, and ends with this monitor
                return None
        return self._page


class Row:
    """The seats for the clients of one process."""

    def __init__(self, seats: Seats, exec_id: str) -> None:
        """See `Seats.row`."""
        self._seats = seats
        self._exec_id = exec_id

    def take(self, connection: socket.socket, plan: SessionPlan) -> Seat | None:
        """See `Seats.take`."""
        return self._seats.take(connection, plan, self._exec_id)

    def take_again(self, kept: Kept, connection: socket.socket) -> Seat | None:
        """See `Seats.take_again`."""
        return self._seats.take_again(kept, connection)


def _name(number: int) -> str:
    return f"session {number}"
