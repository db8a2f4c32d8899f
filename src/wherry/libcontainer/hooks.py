"""Hooks: programs of others that run at points of a container's life, with its state on their stdin."""

import contextlib
import errno
import os
import select
import signal
from collections.abc import Iterable

from wherry.libcontainer.errors import BirthError, reason
from wherry.linux import process
from wherry.oci.runtime import OCI_VERSION, Hook, State, encode

_OUTPUT_BYTES_MAX = 4096


def state_of(container_id: str, status: str, pid: int, bundle: str, annotations: dict[str, str] | None) -> bytes:
    """The state that a hook reads, as JSON."""
    state = State(
        oci_version=OCI_VERSION, id=container_id, status=status, pid=pid, bundle=bundle, annotations=annotations or {}
    )
    return encode(state)


def run(kind: str, hooks: Iterable[Hook], state: bytes) -> None:
    """Run hooks one after another; the first that fails ends it. Raises BirthError with what it wrote to stderr."""
    for number, hook in enumerate(hooks):
        problem = _run_one(hook, state)
        if problem:
            raise BirthError(kind, errno.EIO, hook.path, f"error running {kind} hook #{number}: {problem}")


def _run_one(hook: Hook, state: bytes) -> str:
    """Run one to its end; what went wrong, or nothing."""
    stdin, to_hook = os.pipe2(os.O_CLOEXEC)
    from_hook, stderr = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            hook.path,
            hook.args or (hook.path,),
            dict(entry.partition("=")[::2] for entry in hook.env),
            file_actions=(
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stderr, 1),
                (os.POSIX_SPAWN_DUP2, stderr, 2),
            ),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            setsigmask=(),
        )
    except OSError as error:
        os.close(to_hook)
        os.close(from_hook)
        return f"fork/exec {hook.path}: {reason(error.errno or 0)}"
    finally:
        os.close(stdin)
        os.close(stderr)
    return _supervise(pid, hook, state, to_hook, from_hook)


def _supervise(pid: int, hook: Hook, state: bytes, to_hook: int, from_hook: int) -> str:
    pidfd = process.pidfd_open(pid)
    try:
        with contextlib.suppress(BrokenPipeError):  # a hook need not read it
            os.write(to_hook, state)
        os.close(to_hook)
        ended, _, _ = select.select([pidfd], [], [], hook.timeout)
        if not ended:
            process.pidfd_send_signal(pidfd, signal.SIGKILL)
            process.wait(pidfd)
            return f"hook ran past specified timeout of {float(hook.timeout or 0):.1f}s"
        found = process.wait(pidfd)
        code = found.code if found else 0
        if code == 0:
            return ""
        os.set_blocking(from_hook, False)
        return f"exit status {code}, stdout: , stderr: {_read(from_hook)}"
    finally:
        os.close(pidfd)
        os.close(from_hook)


def _read(fd: int) -> str:
    try:
        return os.read(fd, _OUTPUT_BYTES_MAX).decode(errors="replace").strip()
    except BlockingIOError:
        return ""
