"""How the library speaks to an engine: calls out, JSON and streams in, each with the time it may take."""

from collections.abc import Mapping
from typing import Any

from wherry.client.aio import AsyncAnswer, AsyncClient, AsyncConnection
from wherry.client.call import Call
from wherry.python.where import IDLE_MAX, Place


class Api:
    """One engine. `seconds` is how long it may be silent in an ordinary call, None for ever."""

    def __init__(self, client: AsyncClient, *, seconds: float | None, host: str) -> None:
        """Speak through `client`; `host` is where published ports are reached."""
        self.client = client
        self.seconds = seconds
        self.host = host

    async def ask(self, call: Call) -> Any:
        """The JSON that answers. Raises TimedOut and the other ClientErrors."""
        return await self.client.json(call, seconds=self.seconds)

    async def ask_patiently(self, call: Call, *, seconds: float | None = None) -> Any:
        """The same for what takes as long as it takes, or as the caller says."""
        return await self.client.json(call, seconds=seconds)

    async def stream(self, call: Call, *, seconds: float | None = None) -> AsyncAnswer:
        """An answer whose body is read as it comes."""
        return await self.client.send(call, seconds=seconds)

    async def hijack(self, call: Call) -> AsyncConnection:
        """A connection that is a raw stream from now on."""
        return await self.client.hijack(call)

    async def close(self) -> None:
        """Give up idle connections."""
        self.client.close()


def api_at(
    place: Place, *, seconds: float | None, version: str | None, headers: Mapping[str, str] | None = None
) -> Api:
    """The API of the engine at a place; `headers` go with every call."""
    client = AsyncClient(
        place.address, tls=place.tls, version=version, headers=headers, dialler=place.dialler, idle_max=IDLE_MAX
    )
    return Api(client, seconds=seconds, host=place.host)
