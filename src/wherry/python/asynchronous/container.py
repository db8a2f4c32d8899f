"""One container: everything that can be done to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack

from wherry.client import containers as calls
from wherry.client.errors import ApiError, NotFound
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.commands import Commands, terminal_of
from wherry.python.asynchronous.files import Files
from wherry.python.asynchronous.pace import converse
from wherry.python.asynchronous.readiness import Readiness
from wherry.python.asynchronous.session import Session
from wherry.python.asynchronous.streams import LogStream, RecordStream
from wherry.python.frames import Frames
from wherry.python.options import Options, update_of
from wherry.python.outcome import Completed, completed
from wherry.python.ports import address_of
from wherry.python.quantities import moment_of
from wherry.python.records.container import Change, ContainerInfo, PortBinding, Processes
from wherry.python.records.record import read, read_all
from wherry.python.records.stats import Stats

Moment = datetime | float | str | None


class Container(Commands, Files, Readiness):
    """A container by its id. As a context manager it is removed at the end, running or not, with its volumes.

    `warnings` are what the engine had to say when it was made.
    """

    def __init__(self, api: Api, identifier: str, *, warnings: tuple[str, ...] = ()) -> None:
        """Nothing is asked of the engine."""
        self._api = api
        self.id = identifier
        self.warnings = warnings

    def __repr__(self) -> str:
        return f"<Container {self.id[:12]}>"

    async def __aenter__(self) -> Self:
        """The container itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it, if it is still there."""
        try:
            await self.remove(force=True, volumes=True)
        except NotFound:
            pass  # it was to remove itself, or somebody else did
        except ApiError as problem:
            if "already in progress" not in problem.message:
                raise

    async def inspect(self, *, size: bool = False) -> ContainerInfo:
        """All about it. Raises NotFound."""
        return read(ContainerInfo, await self._api.ask(calls.inspect(self.id, size=size)))

    async def start(self) -> None:
        """Start it; one that runs is fine. Raises the engine's words when its program cannot be run."""
        await self._api.ask_patiently(calls.start(self.id))

    async def stop(self, timeout: int | None = None, *, signal: str = "") -> None:
        """Ask it to end, and kill it after so many seconds (its own time for None, -1 for ever)."""
        await self._api.ask_patiently(calls.stop(self.id, timeout_seconds=timeout, signal=signal))

    async def restart(self, timeout: int | None = None, *, signal: str = "") -> None:
        """Stop and start it."""
        await self._api.ask_patiently(calls.restart(self.id, timeout_seconds=timeout, signal=signal))

    async def kill(self, signal: str | int = "KILL") -> None:
        """Send a signal. Raises Conflict when it does not run."""
        await self._api.ask(calls.kill(self.id, signal=str(int(signal) if isinstance(signal, int) else signal)))

    async def pause(self) -> None:
        """Freeze all its processes."""
        await self._api.ask(calls.pause(self.id))

    async def unpause(self) -> None:
        """Let them go on."""
        await self._api.ask(calls.unpause(self.id))

    async def rename(self, name: str) -> None:
        """Give it another name. Raises Conflict when that is taken."""
        await self._api.ask(calls.rename(self.id, name))

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it; `force` kills it first, `volumes` takes its anonymous volumes along. Raises Conflict, NotFound."""
        await self._api.ask_patiently(calls.remove(self.id, force=force, volumes=volumes))

    async def wait(self, condition: str = "not-running", *, timeout: float | None = None) -> int:
        """Its exit code when it is `not-running`, at its `next-exit`, or when it is `removed`. Raises TimedOut."""
        answer = await self._api.ask_patiently(calls.wait(self.id, condition=condition), seconds=timeout)
        return int((answer or {}).get("StatusCode", 0))

    async def update(self, **options: Unpack[Options]) -> tuple[str, ...]:
        """Change its limits or its restart policy while it runs; what the engine warns of."""
        answer = await self._api.ask(calls.update(self.id, update_of(options)))
        return tuple((answer or {}).get("Warnings") or ())

    async def top(self, arguments: str = "") -> Processes:
        """Its processes, as ps with these arguments shows them. Raises Conflict when it does not run."""
        return read(Processes, await self._api.ask(calls.top(self.id, arguments)))

    async def diff(self) -> tuple[Change, ...]:
        """What differs from its image."""
        return read_all(Change, await self._api.ask(calls.changes(self.id)))

    async def stats(self, *, one_shot: bool = False) -> Stats:
        """What it uses now; `one_shot` is quick and has no rates."""
        return read(Stats, await self._api.ask(calls.stats(self.id, one_shot=one_shot)))

    async def watch_stats(self) -> RecordStream[Stats]:
        """A reading every second."""
        answer = await self._api.stream(calls.stats(self.id, stream=True))
        return RecordStream(answer, lambda value: read(Stats, value))

    async def commit(
        self,
        repository: str = "",
        tag: str = "",
        *,
        message: str = "",
        author: str = "",
        pause: bool = True,
        changes: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> str:
        """Make an image of it; the image's id. `changes` are lines of a Dockerfile such as `CMD ["sh"]`."""
        call = calls.commit(
            self.id,
            repository=repository,
            tag=tag,
            comment=message,
            author=author,
            pause=pause,
            changes=list(changes),
            config=config,
        )
        return str((await self._api.ask_patiently(call))["Id"])

    async def ports(self) -> dict[str, tuple[PortBinding, ...]]:
        """Its published ports, such as `80/tcp`, and where they are on the host."""
        return (await self.inspect()).network_settings.ports

    async def address(self, port: int | str) -> tuple[str, int]:
        """Host and port to connect to for a port of the container. Raises NotFound when it has none."""
        return address_of(await self.inspect(), port, host=self._api.host)

    async def url(self, port: int | str = 80, path: str = "/", *, scheme: str = "http") -> str:
        """Where a web server in it is reached."""
        host, number = await self.address(port)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{number}{path}"

    async def logs(
        self,
        *,
        tail: int | None = None,
        since: Moment = None,
        until: Moment = None,
        timestamps: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> Completed:
        """What it has written so far; its exit code is 0 as long as it runs. Times as datetime or Unix seconds."""
        info = await self.inspect()
        call = calls.logs(
            self.id,
            tail="" if tail is None else str(tail),
            since=moment_of(since),
            until=moment_of(until),
            timestamps=timestamps,
            stdout=stdout,
            stderr=stderr,
        )
        frames = Frames(is_terminal=info.config.tty)
        answer = await self._api.stream(call, seconds=self._api.seconds)
        return completed(info.state.exit_code, frames.feed(await answer.read()))

    async def follow(self, *, tail: int | None = None, since: Moment = None, timestamps: bool = False) -> LogStream:
        """What it has written and what it writes from now on, until it ends or the stream is closed."""
        info = await self.inspect()
        call = calls.logs(
            self.id,
            follow=True,
            tail="" if tail is None else str(tail),
            since=moment_of(since),
            timestamps=timestamps,
        )
        return LogStream(await self._api.stream(call), Frames(is_terminal=info.config.tty))

    async def attach(
        self, *, stdin: bool = True, stdout: bool = True, stderr: bool = True, logs: bool = False
    ) -> Session:
        """Speak with its first process; `logs` begins with what it has said before."""
        info = await self.inspect()
        call = calls.attach(self.id, stdin=stdin, stdout=stdout, stderr=stderr, logs=logs)
        return terminal_of(await self._api.hijack(call), is_terminal=info.config.tty, resize=self.resize)

    async def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size."""
        await self._api.ask(calls.resize(self.id, rows=rows, columns=columns))

    async def complete(self, data: bytes | None = None, *, timeout: float | None = None) -> Completed:
        """Start it with `data` as its standard input, and wait for its end. Raises TimedOut; it runs on then."""
        info = await self.inspect()
        call = calls.attach(self.id, stdin=data is not None, stdout=True, stderr=True)
        connection = await self._api.hijack(call)
        try:
            await self.start()
            chunks = await converse(connection, Frames(is_terminal=info.config.tty), data=data, seconds=timeout)
        finally:
            connection.wire.close()
        return completed(await self.wait(timeout=timeout), chunks)
