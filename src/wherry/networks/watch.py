"""Noticing that somebody flushed our rules, or that a dockerd came, and mending it a moment later."""

import asyncio
import logging
from collections.abc import Callable

from wherry.linux.netlink.ruleset import DELETED_CHAIN, DELETED_RULE, DELETED_TABLE, LOST, NEW_CHAIN, Change, Changes
from wherry.networks.docker_user import CHAIN

# A firewall that is reloaded makes many changes; one mending after them is enough.
PAUSE_SECONDS = 0.1
_log = logging.getLogger(__name__)


class RulesWatch:
    """Calls `mend` when our table lost something, or DOCKER-USER appeared."""

    def __init__(self, table: str, mend: Callable[[], None]) -> None:
        """Watch the network namespace of the caller. Raises OSError."""
        self._table = table
        self._mend = mend
        self._changes = Changes()
        self._timer: asyncio.TimerHandle | None = None
        asyncio.get_running_loop().add_reader(self._changes, self._look)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._changes)
        self._changes.close()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._timer is None and any(self._concerns_us(change) for change in self._changes.read()):
            self._timer = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._act)

    def _act(self) -> None:
        try:
            self._mend()
        except OSError as error:
            _log.warning("the rules of the networks cannot be mended: %s", error)
        # Among what was told meanwhile is our own mending, which must not be mended again.
        self._changes.read()
        self._timer = None

    def _concerns_us(self, change: Change) -> bool:
        if change.kind in (DELETED_TABLE, DELETED_CHAIN, DELETED_RULE):
            return change.table == self._table
        return change.kind == LOST or (change.kind == NEW_CHAIN and change.chain == CHAIN)
