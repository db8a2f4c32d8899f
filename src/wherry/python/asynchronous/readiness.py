"""Waiting until a container can be used."""

import re

from wherry.client import containers as calls
from wherry.client.errors import ClientError, NotFound
from wherry.python.asynchronous.api import Api
from wherry.python.asynchronous.pace import aside, now, sleep
from wherry.python.errors import NotReady
from wherry.python.frames import Frames
from wherry.python.ports import address_of
from wherry.python.probes import accepts, answers
from wherry.python.records.container import ContainerInfo
from wherry.python.records.record import read

PAUSE_SECONDS = 0.01
PAUSE_SECONDS_MAX = 0.25
LINES_SHOWN = "20"


class Readiness:
    """The part of a container that is waited for."""

    _api: Api
    id: str

    async def wait_ready(
        self,
        *,
        http: str = "",
        port: int | str | None = None,
        log: str = "",
        healthy: bool = False,
        timeout: float = 30.0,
    ) -> None:
        """Wait until all that is asked for is true.

        `http` is a path that a web server answers without an error, `port` the container's port (80 for `http`),
        which alone is to accept connections over TCP; `log` a regular expression for something it wrote; `healthy`
        a passed health check. Raises NotReady when it ends meanwhile, or after `timeout` seconds.
        """
        deadline = now() + timeout
        pause = PAUSE_SECONDS
        while (missing := await self._missing(http, port, log, healthy=healthy)) and now() < deadline:
            await sleep(pause)
            pause = min(pause * 1.5, PAUSE_SECONDS_MAX)
        if missing:
            raise NotReady(f"container {self.id[:12]} {missing} after {timeout} seconds", await self._said(LINES_SHOWN))

    async def _missing(self, http: str, port: int | str | None, log: str, *, healthy: bool) -> str:
        """What is not there yet, in words; "" when all is."""
        info = read(ContainerInfo, await self._api.ask(calls.inspect(self.id)))
        if not info.state.running and not info.state.restarting:
            words = f"container {self.id[:12]} is {info.state.status}, exit code {info.state.exit_code}"
            raise NotReady(words, await self._said(LINES_SHOWN))
        if healthy and (info.state.health is None or info.state.health.status != "healthy"):
            return "is not healthy"
        if log and not re.search(log, (await self._said("all")).decode("utf-8", "replace")):
            return f"has not written {log!r}"
        if http or port is not None:
            return await self._unreachable(info, http, port or 80)
        return ""

    async def _unreachable(self, info: ContainerInfo, http: str, port: int | str) -> str:
        try:
            host, number = address_of(info, port, host=self._api.host)
        except NotFound as error:
            return error.message
        if http:
            is_there = await aside(lambda: answers(host, number, http))
            return "" if is_there else f"does not answer {http} on port {port}"
        return "" if await aside(lambda: accepts(host, number)) else f"does not accept connections on port {port}"

    async def _said(self, tail: str) -> bytes:
        try:
            info = read(ContainerInfo, await self._api.ask(calls.inspect(self.id)))
            answer = await self._api.stream(calls.logs(self.id, tail=tail), seconds=self._api.seconds)
            chunks = Frames(is_terminal=info.config.tty).feed(await answer.read())
        except ClientError:
            return b""
        return b"".join(chunk.data for chunk in chunks)
