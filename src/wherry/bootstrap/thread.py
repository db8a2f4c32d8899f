"""An engine on a thread of this process: no listener, no signal handler; connections are pairs of sockets."""

import asyncio
import concurrent.futures
import os
import socket
import threading
from collections.abc import Awaitable, Callable

from wherry.api.routes.table import all_routes
from wherry.api.server import Server, serving
from wherry.bootstrap import house
from wherry.engine.engine import Engine
from wherry.engine.settings import Settings
from wherry.linux.namespaces import CLONE_FS, unshare

UMASK = 0o022


class EngineThread:
    """Runs from `start` to `close`. All of its calls may come from any thread but its own."""

    def __init__(self, settings: Settings) -> None:
        """Start nothing yet."""
        self._settings = settings
        self._ready: concurrent.futures.Future[tuple[Server, Engine]] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="wherry engine", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def start(self) -> None:
        """Return when it serves. Raises EngineError, OSError, and UnknownFormat for state of a newer version."""
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self._thread.join()
            raise

    def dial(self) -> socket.socket:
        """A new connection to the API. Raises ConnectionRefusedError when it has ended."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        server, _ = self._ready.result()
        try:
            self._submit(lambda: server.adopt(theirs))
        except RuntimeError:
            ours.close()
            theirs.close()
            raise ConnectionRefusedError("the engine in this process has ended") from None
        return ours

    def have(self, work: Callable[[Engine], Awaitable[None]]) -> None:
        """Do something with the engine on its thread, and wait for it. Raises what that raises."""
        _, engine = self._ready.result()
        self._submit(lambda: work(engine)).result()

    def close(self) -> None:
        """End it; containers that run go on. Safe to repeat."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _submit(self, work: Callable[[], Awaitable[None]]) -> "concurrent.futures.Future[None]":
        if self._loop.is_closed():
            raise RuntimeError("the engine's loop is closed")

        async def run() -> None:
            await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def _run(self) -> None:
        # The process's umask and working directory are its program's; those of this thread, and of the threads
        # and processes that it starts, are ours.
        unshare(CLONE_FS)
        os.umask(UMASK)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._ready.done():
                    raise
                self._ready.set_exception(_first(error))

    async def _serve(self) -> None:
        async with house.engine(self._settings) as engine, serving(engine, all_routes()) as server:
            self._ready.set_result((server, engine))
            await self._stop.wait()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
