"""Further commands in a running container."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from wherry.client import execs as calls
from wherry.client.aio import AsyncConnection
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.pace import converse
from wherry.python.asynchronous.session import Session
from wherry.python.frames import Frames
from wherry.python.options import Command, environment, words
from wherry.python.outcome import Completed, completed


def terminal_of(
    connection: AsyncConnection, *, is_terminal: bool, resize: Callable[[int, int], Awaitable[None]]
) -> Session:
    """The session over a hijacked connection."""
    return Session(connection, Frames(is_terminal=is_terminal), resize)


class ExecSession(Session):
    """A session with a command of its own; `exit_code` is for after its end."""

    def __init__(self, connection: AsyncConnection, frames: Frames, api: Api, identifier: str) -> None:
        """The exec `identifier` over `connection`."""
        super().__init__(connection, frames, self._tell_size)
        self._api = api
        self.id = identifier

    async def exit_code(self) -> int | None:
        """None while it runs."""
        answer = await self._api.ask(calls.inspect(self.id))
        return None if answer["Running"] else int(answer["ExitCode"])

    async def _tell_size(self, rows: int, columns: int) -> None:
        await self._api.ask(calls.resize(self.id, rows=rows, columns=columns))


class Commands:
    """The part of a container that runs commands in it."""

    _api: Api
    id: str

    async def exec(
        self,
        command: Command,
        *,
        input: bytes | None = None,  # noqa: A002 - as subprocess.run has it
        env: Mapping[str, str] | Sequence[str] = (),
        user: str = "",
        workdir: str = "",
        privileged: bool = False,
        check: bool = False,
        timeout: float | None = None,
    ) -> Completed:
        """Run a command to its end. With `check` raises ContainerError for another exit code than 0.

        Raises TimedOut after `timeout` seconds; the command runs on then.
        """
        body = _body(command, stdin=input is not None, env=env, user=user, workdir=workdir, privileged=privileged)
        identifier = await self._prepare(body)
        connection = await self._api.hijack(calls.start(identifier, detach=False, tty=False))
        try:
            chunks = await converse(connection, Frames(is_terminal=False), data=input, seconds=timeout)
        finally:
            connection.wire.close()
        answer = await self._api.ask(calls.inspect(identifier))
        done = completed(int(answer["ExitCode"] or 0), chunks)
        if check:
            done.check(f"{' '.join(words(command))!r} in container {self.id[:12]}")
        return done

    async def exec_session(
        self,
        command: Command,
        *,
        tty: bool = False,
        size: tuple[int, int] | None = None,
        stdin: bool = True,
        env: Mapping[str, str] | Sequence[str] = (),
        user: str = "",
        workdir: str = "",
        privileged: bool = False,
    ) -> ExecSession:
        """Begin a command and speak with it, on a terminal of `size` rows and columns if wanted."""
        body = _body(command, stdin=stdin, env=env, user=user, workdir=workdir, privileged=privileged)
        body["Tty"] = tty
        identifier = await self._prepare(body)
        connection = await self._api.hijack(calls.start(identifier, detach=False, tty=tty, size=size))
        return ExecSession(connection, Frames(is_terminal=tty), self._api, identifier)

    async def exec_detached(
        self, command: Command, *, env: Mapping[str, str] | Sequence[str] = (), user: str = "", workdir: str = ""
    ) -> None:
        """Begin a command and let it run by itself; what it writes is lost."""
        body = _body(command, stdin=False, env=env, user=user, workdir=workdir, privileged=False)
        identifier = await self._prepare(body | {"AttachStdout": False, "AttachStderr": False})
        await self._api.ask(calls.start(identifier, detach=True, tty=False))

    async def _prepare(self, body: dict[str, Any]) -> str:
        return str((await self._api.ask(calls.create(self.id, body)))["Id"])


def _body(
    command: Command,
    *,
    stdin: bool,
    env: Mapping[str, str] | Sequence[str],
    user: str,
    workdir: str,
    privileged: bool,
) -> dict[str, Any]:
    return {
        "Cmd": words(command),
        "AttachStdin": stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Env": environment(env),
        "User": user,
        "WorkingDir": workdir,
        "Privileged": privileged,
    }
