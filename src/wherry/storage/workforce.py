"""Orders workers: one process for one job, forked by the foreman, sharing nothing with the daemon but descriptors."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import wherry
from wherry.model.errors import EngineError
from wherry.storage.foreman import DESCRIPTORS_MAX, ORDER_BYTES_MAX, STREAMS

_BOOT = "import sys; sys.path.append(sys.argv[1]); from wherry.storage.foreman import main; main(int(sys.argv[2]))"
_PACKAGES = str(Path(wherry.__file__).resolve().parent.parent)
_ANSWER_BYTES_MAX = 64
_ATTEMPTS = 2


class Descriptor:
    """An argument of a job that is a descriptor of the daemon's; the worker gets a copy, and its own number for it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


Argument = str | int | Descriptor


class Worker:
    """A worker at work. `stdin` and `stdout` are our ends of its pipes where they were asked for."""

    __slots__ = ("_pidfd", "report", "stdin", "stdout")

    def __init__(
        self, pidfd: int, report: BinaryIO, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None
    ) -> None:
        self._pidfd = pidfd
        self.report = report
        self.stdin = stdin
        self.stdout = stdout

    def end(self) -> None:
        """Kill it if it still works, and wait until it is gone."""
        for pipe in (self.stdin, self.stdout, self.report):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll()
        os.close(self._pidfd)


class Workforce:
    """The foreman's socket; he is started at the first order, and again should he have died. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def warm_up(self) -> None:
        """Start the foreman now, so that the first order need not wait for him. Raises OSError."""
        with self._lock:
            self._ensure()

    def order(self, words: list[bytes], fds: list[int]) -> int:
        """Have a worker forked; its pidfd. Raises EngineError, OSError."""
        packet = b"\0".join(words)
        if len(packet) > ORDER_BYTES_MAX or len(fds) > DESCRIPTORS_MAX:
            raise EngineError(f"too much for a worker: {len(packet)} bytes, {len(fds)} descriptors")
        with self._lock:
            for _ in range(_ATTEMPTS):
                control = self._ensure()
                with contextlib.suppress(ConnectionError):
                    socket.send_fds(control, [packet], fds)
                    answer, received, _, _ = socket.recv_fds(control, _ANSWER_BYTES_MAX, 1)
                    if answer:
                        return received[0]
                self._dismiss()
        raise EngineError("no storage worker can be started: their foreman dies")

    def close(self) -> None:
        """Let the foreman go. Workers that still work are not touched."""
        with self._lock:
            self._dismiss()

    def _ensure(self) -> socket.socket:
        if self._control is None:
            self._control, self._process = _hire()
        return self._control

    def _dismiss(self) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()
        self._control = self._process = None


def _hire() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, _PACKAGES, str(theirs.fileno())],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            cwd="/",
            # An interrupt at the terminal is for the daemon, with which he ends anyway.
            start_new_session=True,
        )
    return ours, process


def _environment() -> dict[str, str]:
    """Only what an interpreter may need to find its own libraries."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


WORKFORCE = Workforce()


def start(job: str, *arguments: Argument, stdin: int | None = None, stdout: int | None = None) -> Worker:
    """Start a worker on a job; the caller ends it. `stdin` and `stdout` are its descriptors, None for nothing.

    Its report is a pipe. Raises EngineError, OSError.
    """
    words = [job.encode()]
    given: list[int] = []
    for argument in arguments:
        if isinstance(argument, Descriptor):
            words.append(b"@%d" % len(given))
            given.append(argument.number)
        else:
            words.append(os.fsencode(str(argument)))
    if any(b"\0" in word for word in words):
        raise EngineError("a NUL byte cannot be said to a worker")
    with ExitStack() as ends:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        ends.callback(os.close, nothing)
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        ends.callback(os.close, theirs)
        with ExitStack() as undo:
            undo.callback(os.close, ours)
            streams = [nothing if stdin is None else stdin, nothing if stdout is None else stdout, theirs]
            assert len(streams) == STREAMS
            pidfd = WORKFORCE.order(words, [*streams, *given])
            undo.pop_all()
    return Worker(pidfd, open(ours, "rb", buffering=0))


@contextmanager
def working(job: str, *arguments: Argument, feeds: bool = False, reads: bool = False) -> Iterator[Worker]:
    """A worker for the time of the context, with a pipe into it if it `feeds` on one, and out if somebody `reads`."""
    with ExitStack() as theirs, ExitStack() as ours:
        stdin, into = _pipe(theirs, ours) if feeds else (None, None)
        stdout, out = _pipe(theirs, ours, outward=True) if reads else (None, None)
        worker = start(job, *arguments, stdin=stdin, stdout=stdout)
        worker.stdin, worker.stdout = into, out
        ours.callback(worker.end)
        theirs.close()
        yield worker


def _pipe(theirs: ExitStack, ours: ExitStack, *, outward: bool = False) -> tuple[int, BinaryIO]:
    """A worker's end, and ours as a file."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    end, kept = (writer, reader) if outward else (reader, writer)
    theirs.callback(os.close, end)
    return end, ours.enter_context(os.fdopen(kept, "rb" if outward else "wb", buffering=0))
