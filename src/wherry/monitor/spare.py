"""A monitor that waits for its container, with its midwife: all that can be paid before the order is paid.

The nursery forks it. It has a connection to the daemon, and ends when that does.
"""

import socket

from wherry.libcontainer.becoming import Expectation
from wherry.libcontainer.birth import Plan
from wherry.linux import process
from wherry.monitor import bundle, midwife, rundir, wire
from wherry.monitor.berth import Berth
from wherry.monitor.bundle import Shown
from wherry.monitor.delivery import Delivery
from wherry.monitor.messages import Charge, Start, read_start
from wherry.monitor.title import set_title

NAME = "wherry-spare"


class Spare:
    """Waits, and then has the delivery of what it was told."""

    def __init__(self, berth: Berth, connections: list[int], line: socket.socket) -> None:
        """Make the midwife. `connections` are ours and its to the daemon, `line` is to the keeper. Raises OSError."""
        self._berth = berth
        self.connection, theirs = (socket.socket(fileno=fd) for fd in connections)
        set_title(NAME, NAME)
        pid, self._midwife = process.clone3()
        if not pid:
            self.connection.close()
            line.close()
            midwife.stand_by(theirs, berth)
        theirs.close()
        berth.keep_ours()

    def wait(self) -> tuple[Start, list[int]] | None:
        """The order, and what came with it; None when there is to be none."""
        try:
            body, fds = wire.receive(self.connection)
        except wire.ConnectionLost:
            # It may have its order already. Who sees us gone finds it gone too.
            self._expectation(-1).give_up()
            return None
        return read_start(body), fds

    def delivery(self, charge: Charge, directory: int, shown: Shown | None) -> Delivery:
        """Of the container that the midwife makes now. `shown` is for its hooks; its descriptor is ours."""
        berth = self._berth
        if not charge.open_stdin:
            berth.streams.drop("stdin")
        return Delivery(directory, charge, self._expectation(directory, shown), berth.streams, shown)

    def _expectation(self, directory: int, shown: Shown | None = None) -> Expectation:
        def show(pid: int) -> None:
            if shown:
                bundle.show_new(directory, shown.bundle, pid)

        return Expectation(lambda: _plan(directory, shown), self._berth.ours, self._midwife, show)


def _plan(directory: int, shown: Shown | None) -> Plan:
    plan = rundir.load_plan(directory)
    assert plan is not None, "it was written down before the birth"
    if shown is None:
        return Plan(id=plan.id, spec=plan.spec, rootfs_fd=-1)
    return Plan(id=plan.id, spec=plan.spec, rootfs_fd=-1, bundle=shown.bundle, host_mounts_fd=shown.mounts_fd)
