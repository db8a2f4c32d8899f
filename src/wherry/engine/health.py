"""Health checks: a running container's probe is executed in it again and again, and its record says what came out."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import ExecProcess, ProcessGone, Session
from wherry.engine.engine import Engine
from wherry.engine.exec import create_exec, start_exec
from wherry.engine.exec_record import ExecRequest
from wherry.engine.telling import tell
from wherry.model.clock import NANOSECONDS, go_duration, now_ns
from wherry.model.config import Healthcheck
from wherry.model.container import Container
from wherry.model.errors import EngineError
from wherry.model.health import TIMEOUT_NS, Health, ProbeResult, after_probe, pause_ns, probe_command
from wherry.model.state import Status

# moby daemon/health.go: how much of a probe's output is kept, and how long its start may take.
OUTPUT_BYTES_MAX = 4096
BIRTH_SECONDS = 30.0
_READ_BYTES = 65536


@contextmanager
def health_checks(engine: Engine, container_id: str) -> Iterator[None]:
    """For the time of the context a container that runs is probed, if it has a health check."""
    container = engine.containers.get(container_id)
    if container is None or not probe_command(container.config):
        yield
        return
    checking = engine.background(_Checks(engine, container_id).go_on(), name=f"health {container_id}")
    try:
        yield
    finally:
        checking.cancel()


class _Checks:
    """The probes of one run of a container."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._id = container_id
        self._live = engine.live_of(container_id)
        self._process: ExecProcess | None = None

    async def go_on(self) -> None:
        """Probe while it runs; one that is frozen is left alone, and its probe ended."""
        while True:
            await self._until(self._runs)
            async with asyncio.TaskGroup() as stretch:
                probing = stretch.create_task(self._probe_again_and_again())
                await self._until(lambda: not self._runs())
                probing.cancel()
            await self._end_probe()

    async def _until(self, true: Callable[[], bool]) -> None:
        async with self._live.changed:
            await self._live.changed.wait_for(true)

    def _runs(self) -> bool:
        container = self._engine.containers.get(self._id)
        return container is not None and container.state.status is Status.RUNNING

    def _container(self) -> Container:
        container = self._engine.containers.get(self._id)
        assert container is not None, "checks end before their container is removed"
        return container

    async def _probe_again_and_again(self) -> None:
        while True:
            container = self._container()
            check = container.config.healthcheck or Healthcheck()
            state = container.state
            pause = pause_ns(state.health, check, age_ns=now_ns() - state.started_ns)
            await asyncio.sleep(pause / NANOSECONDS)
            await self._take(await self._probe(container, check), check)

    async def _take(self, result: ProbeResult, check: Healthcheck) -> None:
        """Put a result into the record. Only a change of the status is worth a commit: a crash may forget the rest."""
        container = self._container()
        if not self._runs():
            return
        before = container.state.health or Health()
        health = after_probe(before, check, result, started_ns=container.state.started_ns)
        changed = replace(container, state=replace(container.state, health=health))
        if health.status is before.status:
            self._engine.containers.hold(self._id, changed)
            return
        await self._engine.containers.put(self._id, changed)
        crash_point("health.changed")
        await self._engine.announce_change(self._id)
        tell(self._engine, changed, f"health_status: {health.status}")

    async def _probe(self, container: Container, check: Healthcheck) -> ProbeResult:
        start_ns = now_ns()
        try:
            code, output = await self._execute(probe_command(container.config), (check.timeout or TIMEOUT_NS))
        except (EngineError, OSError) as error:
            code, output = -1, str(error)
        return ProbeResult(start_ns=start_ns, end_ns=now_ns(), exit_code=code, output=output)

    async def _execute(self, command: tuple[str, ...], timeout_ns: int) -> tuple[int, str]:
        """Exit code and output, both streams mixed. Raises EngineError, OSError when it could not be started."""
        near, far = socket.socketpair()
        with near:
            near.setblocking(False)
            await self._begin(command, far)
            output = bytearray()
            try:
                async with asyncio.timeout(timeout_ns / NANOSECONDS):
                    code = await self._finish(near, output)
            except TimeoutError:
                await self._end_probe()
                words = f"Health check exceeded timeout ({go_duration(timeout_ns)})"
                return -1, f"{words}: {_text(output)}" if output else words
            return code, _text(output)

    async def _begin(self, command: tuple[str, ...], far: socket.socket) -> None:
        request = ExecRequest(cmd=command, attach_stdout=True, attach_stderr=True)
        session = Session(socket=far, stdout=True, stderr=True, framed=False)
        try:
            async with asyncio.timeout(BIRTH_SECONDS):
                exec_id = await create_exec(self._engine, self._id, request)
                self._process = await start_exec(self._engine, exec_id, session=session)
        except TimeoutError:
            raise EngineError(f"timed out starting health check for container {self._id}") from None
        finally:
            far.close()
        crash_point("health.probing")

    async def _finish(self, near: socket.socket, output: bytearray) -> int:
        """Read to the end, keep the beginning, and give the exit code."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(near, _READ_BYTES):
            output += data[: OUTPUT_BYTES_MAX + 1 - len(output)]
        status = await self._process.wait()
        self._process = None
        return status.code

    async def _end_probe(self) -> None:
        """Kill a probe that still runs, and see it dead: they must not pile up."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessGone):
                await process.signal(signal.SIGKILL)
                if self._runs():  # a frozen one dies when it is thawed
                    await process.wait()


def _text(output: bytearray) -> str:
    text = output[:OUTPUT_BYTES_MAX].decode(errors="replace")
    return f"{text}..." if len(output) > OUTPUT_BYTES_MAX else text
