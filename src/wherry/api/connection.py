"""HTTP connections with limits: on the size of a head, on the time for the first one, on idleness."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web import BaseRequest, StreamResponse
from aiohttp.web_protocol import RequestHandler

HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 256
HEAD_SECONDS = 30.0
IDLE_SECONDS = 3600.0
# After an early refusal: how long to read on, so that the client gets to see the answer.
LINGER_SECONDS = 2.0

Handle = Callable[[BaseRequest], Awaitable[StreamResponse]]


class Connection(RequestHandler):
    """One client's connection; closed when its first head does not come in time."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a head."""
        super().connection_made(transport)
        self._patience = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer."""
        self.head_came()
        super().connection_lost(exc)

    def head_came(self) -> None:
        """From now on idleness is limited by `IDLE_SECONDS` only."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Connections(web.Server):
    """All connections; calling it makes the protocol of a new one. A client that leaves cancels its request."""

    def __init__(self, handle: Handle) -> None:
        """Every request goes to `handle`."""

        async def handle_head(request: BaseRequest) -> StreamResponse:
            if isinstance(request.protocol, Connection):
                request.protocol.head_came()
            return await handle(request)

        super().__init__(handle_head, handler_cancellation=True)
        self._limits: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": IDLE_SECONDS,
            "lingering_time": LINGER_SECONDS,
            "max_line_size": HEAD_BYTES_MAX,
            "max_field_size": HEAD_BYTES_MAX,
            "max_headers": HEADERS_MAX,
            "auto_decompress": False,
        }

    def __call__(self) -> RequestHandler:
        """The protocol for one more connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._limits)
