"""Execs as the API knows them: what was asked for, and what became of it; kept in memory and with the process."""

from msgspec import Struct


class ExecRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of `POST /containers/{id}/exec`."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] | None = None
    working_dir: str = ""
    cmd: tuple[str, ...] | None = None


class Exec(Struct, frozen=True, kw_only=True):
    """One exec. `exit_code` is None until it ended; `pid` is 0 until it started."""

    id: str
    container_id: str
    request: ExecRequest
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
