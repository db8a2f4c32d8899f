"""An engine in this process, spoken to as any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from wherry.python.asynchronous.client import Client
from wherry.python.asynchronous.pace import aside
from wherry.python.local import LocalEngine
from wherry.python.plan import plan_of
from wherry.python.where import SECONDS


class Engine(Client):
    """A client and its engine in one. It runs from `open` to `close`, or as long as its `with`."""

    def __init__(self, local: LocalEngine, *, timeout: float | None = SECONDS) -> None:
        """Nothing is started yet; `local` is what makes one."""
        super().__init__(local.place, timeout=timeout)
        self._local = local

    @classmethod
    def local(
        cls,
        root: str | Path | None = None,
        *,
        keep: bool = False,
        bridge: str = "",
        insecure_registries: Sequence[str] = (),
        registry_mirrors: Sequence[str] = (),
        storage_driver: str = "",
        timeout: float | None = SECONDS,
    ) -> Self:
        """An engine whose state is in `root`, or in a temporary directory that goes at the end.

        At its end, or when this process is killed, its containers are removed; images and named volumes stay in a
        `root` that was said. With `keep` containers run on, and the next engine with that root finds them. It has a
        bridge of its own, or the one that is named, or with `none` no network.
        """
        plan = plan_of(
            root,
            keep=keep,
            bridge=bridge,
            insecure_registries=insecure_registries,
            registry_mirrors=registry_mirrors,
            storage_driver=storage_driver,
        )
        return cls(LocalEngine(plan), timeout=timeout)

    @property
    def root(self) -> Path:
        """Where its state is."""
        return self._local.plan.root

    async def open(self) -> None:
        """Start it; it serves when this returns. Raises EngineFailed, without root too."""
        await aside(self._local.start)

    async def close(self) -> None:
        """End it, and its containers unless it is to keep them. Safe to repeat."""
        await super().close()
        await aside(self._local.close)

    async def __aenter__(self) -> Self:
        """The engine, started."""
        await self.open()
        return self
