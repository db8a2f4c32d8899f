"""Terminals of the command line: a master handed to a console socket, or joined to the terminal we run in."""

import contextlib
import errno
import os
import select
import signal
import socket
import termios
import tty
from collections.abc import Callable, Iterator

from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.errors import reason
from wherry.linux import process, signals, terminal
from wherry.oci.runtime import ConsoleSize

_READ_BYTES = 65536
# Everything that a caller may send us and means the container; what stops or kills us cannot be caught anyway.
_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCONT,
    signal.SIGTSTP,
)


def hand_to_socket(path: str, master: int) -> None:
    """Send a pty's master to a console socket, with its name (runc's docs/terminals.md). Raises CommandError."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(path)
        socket.send_fds(line, [f"/dev/pts/{terminal.number(master)}".encode()], [master])
    except OSError as error:
        raise CommandError(f"unable to send the terminal to {path}: {reason(error.errno or 0)}") from None
    finally:
        line.close()


@contextlib.contextmanager
def signals_as_events() -> Iterator[int]:
    """A signalfd of all that is to be forwarded, and of changes of the window's size."""
    wanted = {*_FORWARDED, signal.SIGWINCH}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    fd = signals.open_signalfd(wanted)
    try:
        yield fd
    finally:
        os.close(fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def size() -> ConsoleSize | None:
    """The size of the terminal we run in, if it is one."""
    try:
        height, width = terminal.size(0)
    except OSError:
        return None
    return ConsoleSize(height=height, width=width)


def resize(master: int) -> None:
    """Give a pty the size of the terminal we run in, if it is one. Raises OSError."""
    ours = size()
    if ours is not None:
        terminal.set_size(master, height=ours.height, width=ours.width)


@contextlib.contextmanager
def raw() -> Iterator[None]:
    """The terminal we run in, if it is one, hands every key on as it is."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    # Not TCSAFLUSH: what was typed ahead is for the program.
    tty.setraw(0, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def attend(pidfd: int, master: int | None, signal_fd: int) -> int:
    """Stay until the process ends: forward signals, carry the terminal's bytes. Its exit code."""
    _loop(pidfd, master, signal_fd)
    found = process.wait(pidfd)
    return found.code if found else 0


def _loop(pidfd: int, master: int | None, signal_fd: int) -> None:
    # Each says whether it is to be asked again.
    handlers: dict[int, Callable[[], bool]] = {signal_fd: lambda: _forward(pidfd, master, signal_fd)}
    if master is not None:
        handlers |= {0: lambda: _copy(0, master), master: lambda: _copy(master, 1)}
    poll = select.poll()
    for fd in (pidfd, *handlers):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == pidfd:
                if master is not None:
                    _drain(master)
                return
            if not handlers[fd]():
                poll.unregister(fd)


def _forward(pidfd: int, master: int | None, signal_fd: int) -> bool:
    for number in signals.read_signalfd(signal_fd):
        if number == signal.SIGWINCH:
            if master is not None:
                resize(master)
            continue
        with contextlib.suppress(ProcessLookupError):
            process.pidfd_send_signal(pidfd, number)
    return True


def _copy(source: int, target: int) -> bool:
    """Move what is there; False at the end."""
    try:
        data = os.read(source, _READ_BYTES)
    except OSError as error:
        if error.errno == errno.EIO:  # the last holder of the pty's other end is gone
            return False
        raise
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]
    return bool(data)


def _drain(master: int) -> None:
    os.set_blocking(master, False)
    with contextlib.suppress(BlockingIOError):
        while _copy(master, 1):
            pass
