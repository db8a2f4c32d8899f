"""The last steps before the user's program, the same for a container's first process and for later ones."""

import fcntl
import os
from collections.abc import Collection

from wherry.libcontainer import channel, identity, program
from wherry.libcontainer.channel import Channel
from wherry.libcontainer.errors import at
from wherry.libcontainer.plan import Stdio
from wherry.linux import prctl, process, seccomp, terminal
from wherry.oci.runtime import Process

_STDIO = 3


def hand_over(line: Channel, spec: Process, master: int) -> None:
    """Set a new terminal's size and give its master to the parent. Raises OSError."""
    if spec.console_size is not None:
        terminal.set_size(master, height=spec.console_size.height, width=spec.console_size.width)
    line.send_fd(channel.TERMINAL, master)
    os.close(master)


def wire(stdio: Stdio, *, preserve_fds: int) -> None:
    """Put stdin, stdout and stderr in place. Raises OSError."""
    sources = (stdio.stdin, stdio.stdout, stdio.stderr)
    # First out of each other's way: a source may have another one's number.
    above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STDIO + preserve_fds) for fd in sources]
    for number, fd in enumerate(above):
        os.dup2(fd, number)


def take_terminal() -> None:
    """Make stdin, a terminal, the controlling one of this session's leader. Raises BirthError."""
    try:
        terminal.set_controlling(0)
    except OSError as error:
        raise at("error setting the controlling terminal", error) from None


def close_all_but(keep: Collection[int], *, preserve_fds: int) -> None:
    """Close every descriptor over 2 except these and those that the program is to get. Raises OSError."""
    first = _STDIO + preserve_fds
    for fd in sorted(keep):
        if fd > first:
            process.close_range(first, fd - 1)
        first = max(first, fd + 1)
    process.close_range(first)


def restrict(spec: Process, seccomp_program: bytes, seccomp_flags: int, *, ids_are_mapped: bool) -> None:
    """Give up everything the program is not to have, and stand in its working directory. Raises BirthError."""
    if spec.no_new_privileges:
        prctl.set_no_new_privileges()
    else:
        # Without no_new_privs a filter needs CAP_SYS_ADMIN, which goes next: the steps after it obey the filter.
        filter_calls(seccomp_program, seccomp_flags)
    entered = program.enter_directory(spec.cwd)
    identity.own_stdio(spec.user.uid)
    identity.become(spec, ids_are_mapped=ids_are_mapped)
    if not entered:
        program.require_directory(spec.cwd)
    program.check_directory()


def filter_calls(seccomp_program: bytes, seccomp_flags: int) -> None:
    """Put the filter on, if there is one. Raises BirthError."""
    if not seccomp_program:
        return
    try:
        seccomp.install(seccomp_program, seccomp_flags)
    except OSError as error:
        raise at("unable to init seccomp", error) from None
