"""How the library speaks to an engine: calls out, JSON and streams in, each with the time it may take."""

from collections.abc import Mapping
from typing import Any

from wherry.client.call import Call
from wherry.client.client import Answer, Client
from wherry.client.http import Connection
from wherry.python.where import IDLE_MAX, Place


class Api:
    """One engine. `seconds` is how long it may be silent in an ordinary call, None for ever."""

    def __init__(self, client: Client, *, seconds: float | None, host: str) -> None:
        """Speak through `client`; `host` is where published ports are reached."""
        self.client = client
        self.seconds = seconds
        self.host = host

    def ask(self, call: Call) -> Any:
        """The JSON that answers. Raises TimedOut and the other ClientErrors."""
        return self.client.json(call, seconds=self.seconds)

    def ask_patiently(self, call: Call, *, seconds: float | None = None) -> Any:
        """The same for what takes as long as it takes, or as the caller says."""
        return self.client.json(call, seconds=seconds)

    def stream(self, call: Call, *, seconds: float | None = None) -> Answer:
        """An answer whose body is read as it comes."""
        return self.client.send(call, seconds=seconds)

    def hijack(self, call: Call) -> Connection:
        """A connection that is a raw stream from now on."""
        return self.client.hijack(call)

    def close(self) -> None:
        """Give up idle connections."""
        self.client.close()


def api_at(
    place: Place, *, seconds: float | None, version: str | None, headers: Mapping[str, str] | None = None
) -> Api:
    """The API of the engine at a place; `headers` go with every call."""
    client = Client(
        place.address, tls=place.tls, version=version, headers=headers, dialler=place.dialler, idle_max=IDLE_MAX
    )
    return Api(client, seconds=seconds, host=place.host)
