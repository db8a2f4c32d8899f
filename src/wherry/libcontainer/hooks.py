"""Hooks: programs of others that run at points of a container's life, with its state on their stdin."""

import contextlib
import errno
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from msgspec import Struct

from wherry.libcontainer import channel, execution
from wherry.libcontainer.channel import Channel
from wherry.libcontainer.errors import NOT_EXECUTABLE, NOT_FOUND, OTHER, BirthError, at, reason
from wherry.linux import namespaces, process
from wherry.oci.runtime import OCI_VERSION, Hook, State, encode

UMASK = 0o022
_OUTPUT_BYTES_MAX = 4096
# In the order in which moby looks for them in what runc says (daemon/errors.go, setExitCodeFromError).
_EXIT_CODES = (("no such file or directory", NOT_FOUND), ("permission denied", NOT_EXECUTABLE))


def state_of(container_id: str, status: str, pid: int, bundle: str, annotations: dict[str, str] | None) -> bytes:
    """The state that a hook reads, as JSON."""
    state = State(
        oci_version=OCI_VERSION, id=container_id, status=status, pid=pid, bundle=bundle, annotations=annotations or {}
    )
    return encode(state)


def run(kind: str, hooks: Iterable[Hook], state: bytes) -> None:
    """Run hooks one after another; the first that fails ends it. Raises BirthError with what it wrote."""
    for number, hook in enumerate(hooks):
        problem = _run_one(hook, state)
        if problem:
            words = f"error running {kind} hook #{number}: {problem}"
            raise BirthError(kind, errno.EIO, hook.path, words, _exit_code(problem))


def elsewhere(mounts_fd: int, directory: str, work: Callable[[], None]) -> None:
    """Do it in a fork, which is in another mount namespace and directory. Raises BirthError as `work` does.

    The caller is single-threaded and has 0, 1 and 2 open.
    """
    ours, theirs = channel.pair()
    pid = os.fork()
    if not pid:
        _do(mounts_fd, directory, work, theirs)
    theirs.close()
    try:
        message = ours.receive()
    finally:
        ours.close()
        os.waitpid(pid, 0)
    if message is None:
        raise BirthError("hooks", errno.ESRCH, "", "error running hooks: the process that runs them was killed")
    if message.kind == channel.FAILED:
        raise channel.failure_from(message.data)


def _do(mounts_fd: int, directory: str, work: Callable[[], None], line: Channel) -> NoReturn:
    try:
        # A copy of the caller's connections would hide its death.
        execution.close_all_but({mounts_fd, *line.fds}, preserve_fds=0)
        namespaces.setns(mounts_fd, namespaces.CLONE_NEWNS)
        os.chdir(directory)
        work()
        line.send(channel.EXECUTING)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
        with contextlib.suppress(OSError):
            line.send(channel.FAILED, channel.failure_bytes(at("error running hooks", error)))
    os._exit(0)


class Streams(Struct, frozen=True):
    """A hook's stdin, with the state, and where it writes to: files in memory, so that nobody need read meanwhile."""

    stdin: int
    stdout: int
    stderr: int

    def outcome(self, code: int) -> str:
        """What runc says of an end with that code, which is below 0 for a signal: nothing when it went well."""
        if code == 0:
            return ""
        how = f"exit status {code}" if code > 0 else f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"
        return f"{how}, stdout: {_read(self.stdout)}, stderr: {_read(self.stderr)}".rstrip()


@contextlib.contextmanager
def streams(state: bytes) -> Iterator[Streams]:
    """Those of one hook. Raises OSError."""
    with contextlib.ExitStack() as undo:
        fds = []
        for name in ("stdin", "stdout", "stderr"):
            fds.append(os.memfd_create(name, os.MFD_CLOEXEC))
            undo.callback(os.close, fds[-1])
        os.write(fds[0], state)
        os.lseek(fds[0], 0, os.SEEK_SET)
        yield Streams(*fds)


def environment(hook: Hook) -> dict[str, str]:
    """All the variables that a hook gets."""
    return dict(entry.partition("=")[::2] for entry in hook.env)


def not_run(hook: Hook, error: OSError) -> str:
    """What runc says of a hook that could not be executed."""
    return f"fork/exec {hook.path}: {reason(error.errno or 0)}"


def overdue(seconds: float) -> str:
    """What runc says of one that took longer than that."""
    return f"hook ran past specified timeout of {seconds:.1f}s"


def _exit_code(problem: str) -> int:
    words = problem.lower()
    return next((code for part, code in _EXIT_CODES if part in words), OTHER)


def _run_one(hook: Hook, state: bytes) -> str:
    """Run one to its end; what went wrong, or nothing."""
    with streams(state) as given:
        try:
            pid = _spawn(hook, given)
        except OSError as error:
            return not_run(hook, error)
        return _supervise(pid, hook, given)


def _spawn(hook: Hook, given: Streams) -> int:
    wired = enumerate((given.stdin, given.stdout, given.stderr))
    before = os.umask(UMASK)  # a container's first process has none
    try:
        return os.posix_spawn(
            hook.path,
            hook.args or (hook.path,),
            environment(hook),
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in wired],
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            setsigmask=(),
        )
    finally:
        os.umask(before)


def _supervise(pid: int, hook: Hook, given: Streams) -> str:
    pidfd = process.pidfd_open(pid)
    try:
        ended, _, _ = select.select([pidfd], [], [], hook.timeout)
        if not ended:
            process.pidfd_send_signal(pidfd, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return given.outcome(os.waitstatus_to_exitcode(status)) if ended else overdue(hook.timeout or 0)
    finally:
        os.close(pidfd)


def _read(fd: int) -> str:
    return os.pread(fd, _OUTPUT_BYTES_MAX, 0).decode(errors="replace")
