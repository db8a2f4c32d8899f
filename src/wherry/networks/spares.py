"""Network namespaces that are ready before a container asks: with veth, address and route on a bridge, or bare."""

import asyncio
import os
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from wherry.model.errors import EngineError
from wherry.networks.bridge import Bridge
from wherry.networks.namespaces import NamespaceMaker
from wherry.networks.plan import BASE_SYSCTLS, Interface, Make

# Refilling waits until the container that took the last one has started: both want the same processors.
REFILL_SECONDS = 0.05
# A small subnet must not be used up by namespaces that nobody wants.
_SHARE_OF_ADDRESSES = 8
_NO_ADDRESS = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Spare:
    """A namespace that waits; whoever takes it owns the descriptor and the address."""

    netns_fd: int
    interfaces: tuple[Interface, ...]

    @property
    def address(self) -> IPv4Address:
        """Of its first interface; the lowest of all when it has none."""
        return IPv4Address(self.interfaces[0].address) if self.interfaces else _NO_ADDRESS


class Supply(Protocol):
    """What namespaces of one kind have inside."""

    def take(self) -> tuple[Interface, ...]:
        """The interfaces of one more. Raises EngineError when there is nothing left for it."""

    def give_back(self, interfaces: tuple[Interface, ...]) -> None:
        """It is not wanted after all."""


@dataclass(frozen=True, slots=True)
class OnBridge:
    """One interface with an address of a bridge."""

    bridge: Bridge

    def count(self, wanted: int) -> int:
        """How many may wait."""
        return min(wanted, self.bridge.addresses.capacity // _SHARE_OF_ADDRESSES)

    def take(self) -> tuple[Interface, ...]:
        """See Supply."""
        given = self.bridge.addresses.take(self.bridge.network.name)
        return (self.bridge.interface(name="eth0", given=given, mac="", is_default_route=True),)

    def give_back(self, interfaces: tuple[Interface, ...]) -> None:
        """See Supply."""
        for interface in interfaces:
            self.bridge.release(interface.host_name, IPv4Address(interface.address))


@dataclass(frozen=True, slots=True)
class Bare:
    """Nothing but the loopback."""

    def take(self) -> tuple[Interface, ...]:
        """See Supply."""
        return ()

    def give_back(self, interfaces: tuple[Interface, ...]) -> None:
        """See Supply."""


class Spares:
    """Keeps some namespaces of one kind; they are lost with the daemon, and the kernel sweeps them then."""

    def __init__(self, maker: NamespaceMaker, supply: Supply, count: int) -> None:
        """Nothing is made before `refill` or the first `take`."""
        self._maker = maker
        self._supply = supply
        self._count = count
        self._ready: list[Spare] = []
        self._making = 0
        # Who came while one was being made; the worker would make theirs after it anyway.
        self._waiting: deque[asyncio.Future[Spare | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self) -> Spare | None:
        """The one with the lowest address, maybe after a moment; None when none is ready or being made."""
        if self._closed:
            return None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REFILL_SECONDS, self.refill)
        if self._ready:
            spare = min(self._ready, key=lambda one: one.address)
            self._ready.remove(spare)
            return spare
        if self._making <= len(self._waiting):
            return None
        waiting: asyncio.Future[Spare | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def refill(self) -> None:
        """Order as many as are missing."""
        self._timer = None
        # What somebody waits for is not spare.
        while not self._closed and self._making - len(self._waiting) + len(self._ready) < self._count:
            try:
                interfaces = self._supply.take()
            except EngineError:
                return
            self._order(interfaces)

    def close(self) -> None:
        """Give all up, also what is still being made; the kernel removes their links some time soon."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for spare in self._ready:
            self._give_up(spare)
        self._ready.clear()

    def _order(self, interfaces: tuple[Interface, ...]) -> None:
        self._making += 1
        made = self._maker.make(Make(interfaces=interfaces, sysctls=BASE_SYSCTLS))
        made.add_done_callback(lambda done: self._keep(done, interfaces))

    def _keep(self, made: "asyncio.Future[int]", interfaces: tuple[Interface, ...]) -> None:
        self._making -= 1
        if made.cancelled() or made.exception() is not None:
            self._supply.give_back(interfaces)
            self._hand_on(None)
        elif not self._hand_on(Spare(made.result(), interfaces)):
            self._put_by(Spare(made.result(), interfaces))

    def _hand_on(self, spare: Spare | None) -> bool:
        """Whether somebody was waiting."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(spare)
                return True
        return False

    def _put_by(self, spare: Spare) -> None:
        if self._closed:
            self._give_up(spare)
        else:
            self._ready.append(spare)

    def _give_up(self, spare: Spare) -> None:
        # The last descriptor of a namespace that nobody is in: the kernel removes it, and its veth.
        os.close(spare.netns_fd)
        self._supply.give_back(spare.interfaces)
