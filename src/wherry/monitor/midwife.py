"""The midwife: stands by a monitor that waits for its container, and becomes that container's first process.

It is made ahead, and has by then copied all the pages that it shared: from the order on nothing is in its way but the
kernel's work. So it does all that takes many pages: the monitor's stay few. It ends with its monitor.
"""

import os
import select
import socket
from typing import NoReturn

from wherry.libcontainer import becoming
from wherry.libcontainer.birth import Plan, Stdio
from wherry.linux import heap
from wherry.monitor import bundle, rundir, wire
from wherry.monitor.berth import Berth
from wherry.monitor.bundle import Shown
from wherry.monitor.messages import Deliver, read_deliver
from wherry.monitor.title import set_title
from wherry.oci.runtime import Linux

NAME = "wherry-midwife"
_NO_LINUX = Linux()


def stand_by(connection: socket.socket, berth: Berth) -> NoReturn:
    """Wait for the order, and become what it says."""
    set_title(NAME, NAME)
    berth.keep_theirs()
    line = berth.theirs
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    poll.register(line.fds[0], select.POLLIN)
    heap.own_pages(lambda: not poll.poll(0))
    poll.poll()
    try:
        connection.setblocking(False)
        body, fds = wire.receive(connection)
    except (BlockingIOError, wire.ConnectionLost):
        os._exit(0)
    try:
        order, directory = read_deliver(body), fds[0]
        if order.bundle:
            bundle.enter(Shown(order.bundle, fds.pop()))
        plan = _plan(order, fds[1:])
        # Before anything of the user's can run: whoever finds it without a monitor needs this.
        rundir.save(directory, rundir.PLAN, order.plan)
        rundir.listen(directory, berth.listener)
        stdio = berth.streams.child
        if not order.plan.open_stdin:
            null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            stdio = Stdio(stdin=null, stdout=stdio.stdout, stderr=stdio.stderr)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the monitor must hear of it
        becoming.fail(line, error)
    linux = order.plan.spec.linux or _NO_LINUX
    becoming.become(plan, linux.resources, stdio, line, linux.cgroups_path)


def _plan(order: Deliver, fds: list[int]) -> Plan:
    take, plan = iter(fds), order.plan
    return Plan(
        id=plan.id,
        spec=plan.spec,
        rootfs_fd=next(take),
        mounts=tuple((destination, next(take)) for destination in order.mounts),
        netns_fd=next(take) if order.netns else None,
        seccomp_program=plan.seccomp,
        seccomp_flags=plan.seccomp_flags,
        bundle=order.bundle,
    )
