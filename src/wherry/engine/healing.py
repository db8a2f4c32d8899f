"""Restarting what is unhealthy, where a container's label `wherry.on-unhealthy` asks for it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.crashpoints import crash_point
from wherry.engine.engine import Engine
from wherry.engine.restart import restart
from wherry.model.container import Container
from wherry.model.errors import EngineError, InvalidParameter
from wherry.model.event import Event
from wherry.model.health import HealthStatus
from wherry.model.state import Status

LABEL = "wherry.on-unhealthy"
RESTART = "restart"
UNLIMITED = -1

log = logging.getLogger(__name__)


def restarts_max(labels: Mapping[str, str] | None) -> int:
    """How often in a row it shall be restarted: 0 for never, -1 for without end. Raises InvalidParameter."""
    text = (labels or {}).get(LABEL, "")
    if text in {"", "no"}:
        return 0
    word, colon, count = text.partition(":")
    if word != RESTART or (colon and not (count.isdecimal() and int(count) > 0)):
        raise InvalidParameter(f"invalid label {LABEL}={text}: must be no, {RESTART} or {RESTART}:N")
    return int(count) if colon else UNLIMITED


@dataclass(slots=True)
class Healer:
    """Restarts containers one by one of each; counts restarts until the next time a container is healthy."""

    engine: Engine
    restarts: dict[str, int] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    async def go_on(self) -> None:
        """For as long as the daemon lives."""
        while True:
            with self.engine.bus.subscribe(_is_of_health, is_own=True) as events:
                # Of what happened before there is no event: the last daemon may have died over it.
                for container in self.engine.containers.values():
                    self._look(container)
                async for event in events:
                    known = self.engine.containers.get(event.actor_id)
                    if known is not None:
                        self._look(known)
                    else:
                        self.restarts.pop(event.actor_id, None)

    def _look(self, container: Container) -> None:
        health = container.state.health
        if health is None or container.state.status is not Status.RUNNING:
            return
        if health.status is HealthStatus.HEALTHY:
            self.restarts.pop(container.id, None)
        elif health.status is HealthStatus.UNHEALTHY and container.id not in self.busy and self._may(container):
            self.busy.add(container.id)
            self.engine.background(self._restart(container), name=f"heal {container.id}")

    def _may(self, container: Container) -> bool:
        most = restarts_max(container.config.labels)
        return most == UNLIMITED or self.restarts.get(container.id, 0) < most

    async def _restart(self, container: Container) -> None:
        self.restarts[container.id] = self.restarts.get(container.id, 0) + 1
        log.info("container %s is unhealthy and is restarted", container.id)
        crash_point("health.healing")
        try:
            await restart(self.engine, container.id)
        except EngineError as error:
            log.warning("container %s is unhealthy and could not be restarted: %s", container.id, error)
        finally:
            self.busy.discard(container.id)


def _is_of_health(event: Event) -> bool:
    return event.kind == "container" and (event.action.startswith("health_status") or event.action == "destroy")


def begin_healing(engine: Engine) -> asyncio.Task[None]:
    """Begin; the task is to be cancelled when the daemon ends."""
    return engine.background(Healer(engine).go_on(), name="heal")
