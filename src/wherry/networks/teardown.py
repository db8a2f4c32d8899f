"""Deleting links after the answer: it takes the kernel 17 ms each, and nobody should wait for that."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from wherry.crashpoints import crash_point
from wherry.linux.netlink import link
from wherry.linux.netlink.connection import Connection

_log = logging.getLogger(__name__)


class Teardown:
    """One thread with its own netlink socket, in the network namespace of the caller of the constructor."""

    def __init__(self) -> None:
        """Open the socket. Raises OSError."""
        self._route = Connection()
        self._thread = ThreadPoolExecutor(1, "network-teardown")
        self._under_way: set[asyncio.Future[None]] = set()

    def delete(self, name: str, then: Callable[[], None]) -> None:
        """Delete a link some time soon; call `then` in the loop when it is gone."""
        deleted = asyncio.get_running_loop().run_in_executor(self._thread, self._delete, name)
        self._under_way.add(deleted)

        def finish(done: "asyncio.Future[None]") -> None:
            self._under_way.discard(done)
            then()

        deleted.add_done_callback(finish)

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be deleted."""
        return bool(self._under_way)

    async def drain(self) -> None:
        """Wait until everything is deleted."""
        if self._under_way:
            await asyncio.wait(list(self._under_way))

    async def close(self) -> None:
        """Wait for all, then end the thread."""
        await self.drain()
        self._thread.shutdown()
        self._route.close()

    def abandon(self) -> None:
        """Close without waiting; for when nothing was deleted yet."""
        self._thread.shutdown(wait=False)
        self._route.close()

    def _delete(self, name: str) -> None:
        try:
            crash_point("network.link-deleting")
            self._route.transact([link.delete(name)])
            crash_point("network.link-deleted")
        except OSError as error:
            # Most often the namespace of its other end went first and took it along.
            _log.debug("%s", error)
